using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using Isthmus.Core.Net;
using Isthmus.Lab.Machine.Linux;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Machine.Network;

/// <summary>A network interface as the kernel lists it.</summary>
/// <param name="Master">The index of the bridge that it is a port of; 0 for none.</param>
internal sealed record NetworkLink(int Index, string Name, int Master, bool IsUp);

/// <summary>
/// Links, addresses and routes of one network namespace, through rtnetlink. A change takes about 20 µs, where an <c>ip</c>
/// process takes milliseconds. Not thread-safe.
/// </summary>
internal sealed unsafe class RouteNetlink : IDisposable
{
    private const int NetlinkFamily = 16, RawCloseOnExec = 3 | 0x80000, SolNetlink = 270, ExtendedAck = 11;
    private const byte Inet = 2, TableMain = 254, TableLocal = 255, ProtocolStatic = 4;
    private const byte ScopeUniverse = 0, ScopeLink = 253, ScopeHost = 254, ScopeNowhere = 255, TypeUnicast = 1, TypeLocal = 2;
    private const ushort LinkAddress = 1, LinkName = 3, LinkMaster = 10, LinkKind = 1, LinkKindSettings = 2, LinkSettings = 18, LinkNamespace = 28,
        VethPeer = 1;
    private const ushort AddressValue = 1, AddressLocal = 2;
    private const ushort RouteTo = 1, RouteDevice = 4, RouteGateway = 5, RoutePreferredSource = 7;
    private const uint FlagUp = 1, OnLink = 4;

    private readonly SafeFileHandle _socket;
    private readonly byte[] _receive = new byte[65536];
    private uint _sequence;

    private RouteNetlink(SafeFileHandle socket) => _socket = socket;

    private int Descriptor => (int)_socket.DangerousGetHandle();

    /// <summary>Opens a socket in the namespace of the calling thread. You can then use it from any thread.</summary>
    internal static RouteNetlink Open()
    {
        var descriptor = LinuxException.Check(Libc.Socket(NetlinkFamily, RawCloseOnExec, 0), "open a route netlink socket");
        var socket = new SafeFileHandle(descriptor, ownsHandle: true);
        try
        {
            var address = stackalloc byte[12];
            new Span<byte>(address, 12).Clear();
            *(ushort*)address = NetlinkFamily;
            LinuxException.Check(Libc.Bind(descriptor, address, 12), "bind a route netlink socket");
            var on = 1;
            // Without this option, errors contain only a number. Kernels before 4.12 do not support it.
            _ = Libc.SetSocketOption(descriptor, SolNetlink, ExtendedAck, &on, sizeof(int));
            return new RouteNetlink(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    internal static RouteNetlink Open(NamespaceHandle network) => NamespaceThread.Run(network, Open);

    internal void CreateBridge(string name) =>
        Send(Create(NetlinkMessage.NewLink).Link(0).Text(LinkName, name)
            .Nest(LinkSettings, settings => settings.Text(LinkKind, "bridge")), $"create bridge {name}");

    /// <summary>Creates a pair of interfaces, one here and one, already with its name, in <paramref name="peerNamespace"/>.</summary>
    internal void CreateVeth(string name, NamespaceHandle peerNamespace, string peerName, byte[] peerHardwareAddress) =>
        Send(Create(NetlinkMessage.NewLink).Link(0).Text(LinkName, name).Nest(LinkSettings, settings => settings
            .Text(LinkKind, "veth")
            .Nest(LinkKindSettings, kind => kind
                .Nest(VethPeer, peer => peer
                    .Link(0)
                    .Text(LinkName, peerName)
                    .Bytes(LinkAddress, peerHardwareAddress)
                    .Number(LinkNamespace, peerNamespace.Descriptor)))), $"create interface {name} with peer {peerName}");

    /// <summary>Deletes an interface; false when it does not exist.</summary>
    internal bool DeleteLink(string name)
    {
        if (FindLink(name) is not { } link) return false;
        Send(Change(NetlinkMessage.DeleteLink).Link(link.Index), $"delete interface {name}");
        return true;
    }

    internal void SetUp(string name, bool up = true) =>
        Send(Change(NetlinkMessage.NewLink).Link(IndexOf(name), up ? FlagUp : 0, FlagUp), $"set {name} {(up ? "up" : "down")}");

    internal void SetMaster(string name, string bridge) =>
        Send(Change(NetlinkMessage.NewLink).Link(IndexOf(name)).Number(LinkMaster, IndexOf(bridge)), $"make {name} a port of {bridge}");

    /// <summary>Adds an address. It changes nothing when the interface already has the address.</summary>
    internal void AddAddress(string device, IPAddress address, int prefixLength) =>
        Send(Replacing(NetlinkMessage.NewAddress)
            .InterfaceAddress(Inet, (byte)prefixLength, IPAddress.IsLoopback(address) ? ScopeHost : ScopeUniverse, IndexOf(device))
            .Address(AddressLocal, address).Address(AddressValue, address), $"add address {address}/{prefixLength} to {device}");

    /// <summary>Routes <paramref name="destination"/> to <paramref name="device"/>, and replaces an existing
    /// route.</summary>
    internal void SetRoute(Cidr destination, string device, IPAddress? source = null)
    {
        var message = Replacing(NetlinkMessage.NewRoute)
            .Route(Inet, (byte)destination.PrefixLength, TableMain, ProtocolStatic, ScopeLink, TypeUnicast, 0)
            .Address(RouteTo, destination.Base).Number(RouteDevice, IndexOf(device));
        if (source is not null) message.Address(RoutePreferredSource, source);
        Send(message, $"route {destination} to {device}");
    }

    /// <summary>Like <see cref="SetRoute"/>, through a neighbor that need not be in a range of the device.</summary>
    internal void SetRouteVia(Cidr destination, IPAddress gateway, string device) =>
        Send(Replacing(NetlinkMessage.NewRoute)
            .Route(Inet, (byte)destination.PrefixLength, TableMain, ProtocolStatic, ScopeUniverse, TypeUnicast, OnLink)
            .Address(RouteTo, destination.Base).Address(RouteGateway, gateway).Number(RouteDevice, IndexOf(device)), $"route {destination} via {gateway}");

    internal bool DeleteRoute(Cidr destination) =>
        TrySend(Change(NetlinkMessage.DeleteRoute)
            .Route(Inet, (byte)destination.PrefixLength, TableMain, 0, ScopeNowhere, 0, 0)
            .Address(RouteTo, destination.Base), $"delete the route to {destination}", LinuxException.ESrch);

    /// <summary>Makes every address of a range local to this machine, without an address on an interface. The machine also
    /// answers ARP for them.</summary>
    internal void SetLocalRange(Cidr range) =>
        Send(Replacing(NetlinkMessage.NewRoute)
            .Route(Inet, (byte)range.PrefixLength, TableLocal, ProtocolStatic, ScopeHost, TypeLocal, 0)
            .Address(RouteTo, range.Base).Number(RouteDevice, IndexOf("lo")), $"make {range} local");

    internal bool DeleteLocalRange(Cidr range) =>
        TrySend(Change(NetlinkMessage.DeleteRoute)
            .Route(Inet, (byte)range.PrefixLength, TableLocal, 0, ScopeHost, TypeLocal, 0)
            .Address(RouteTo, range.Base).Number(RouteDevice, IndexOf("lo")), $"make {range} foreign", LinuxException.ESrch);

    /// <summary>The ranges that <see cref="SetLocalRange"/> made local, in this process or an earlier one.</summary>
    internal List<Cidr> LocalRanges()
    {
        var ranges = new List<Cidr>();
        Exchange(new NetlinkMessage(NetlinkMessage.GetRoute, NetlinkMessage.Dump).Route(Inet, 0, TableLocal, 0, 0, 0, 0), "list local routes", reply =>
        {
            if (reply.Type != NetlinkMessage.NewRoute || reply.Body.Length < 12) return;
            if (reply.Body[4] != TableLocal || reply.Body[5] != ProtocolStatic || reply.Body[7] != TypeLocal) return;
            var prefixLength = reply.Body[1];
            var attributes = reply.Body[12..];
            while (NetlinkReply.TryReadAttribute(ref attributes, out var type, out var value))
            {
                if (type == RouteTo && value.Length == 4) ranges.Add(Cidr.Parse($"{new IPAddress(value)}/{prefixLength}"));
            }
        });
        return ranges;
    }

    internal NetworkLink? FindLink(string name) => Links().Find(link => link.Name == name);

    internal List<NetworkLink> Links()
    {
        var links = new List<NetworkLink>();
        Exchange(new NetlinkMessage(NetlinkMessage.GetLink, NetlinkMessage.Dump).Link(0), "list interfaces", reply =>
        {
            if (reply.Type != NetlinkMessage.NewLink || reply.Body.Length < 16) return;
            var (name, master) = ("", 0);
            var attributes = reply.Body[16..];
            while (NetlinkReply.TryReadAttribute(ref attributes, out var type, out var value))
            {
                if (type == LinkName) name = Encoding.UTF8.GetString(value.TrimEnd((byte)0));
                if (type == LinkMaster && value.Length == 4) master = BinaryPrimitives.ReadInt32LittleEndian(value);
            }
            var flags = BinaryPrimitives.ReadUInt32LittleEndian(reply.Body[8..]);
            links.Add(new(BinaryPrimitives.ReadInt32LittleEndian(reply.Body[4..]), name, master, (flags & FlagUp) != 0));
        });
        return links;
    }

    public void Dispose() => _socket.Dispose();

    private int IndexOf(string name) =>
        FindLink(name)?.Index ?? throw new LinuxException($"interface {name}", LinuxException.ENoDev);

    private static NetlinkMessage Create(ushort type) => new(type, NetlinkMessage.Acknowledge | NetlinkMessage.Create | NetlinkMessage.Exclusive);

    private static NetlinkMessage Replacing(ushort type) => new(type, NetlinkMessage.Acknowledge | NetlinkMessage.Create | NetlinkMessage.Replace);

    private static NetlinkMessage Change(ushort type) => new(type, NetlinkMessage.Acknowledge);

    private void Send(NetlinkMessage message, string operation) => Exchange(message, operation, null);

    private bool TrySend(NetlinkMessage message, string operation, int absent)
    {
        try
        {
            Send(message, operation);
            return true;
        }
        catch (LinuxException e) when (e.Errno == absent)
        {
            return false;
        }
    }

    private delegate void ReplyReader(NetlinkReply reply);

    private void Exchange(NetlinkMessage message, string operation, ReplyReader? read)
    {
        var request = message.Finish(++_sequence);
        fixed (byte* bytes = request) LinuxException.Check(Libc.Write(Descriptor, bytes, (nuint)request.Length), operation);
        while (true)
        {
            nint received;
            fixed (byte* buffer = _receive) received = Libc.Read(Descriptor, buffer, (nuint)_receive.Length);
            if (received < 0 && Marshal.GetLastPInvokeError() == LinuxException.EIntr) continue;
            LinuxException.Check(received, operation);
            ReadOnlySpan<byte> datagram = _receive.AsSpan(0, (int)received);
            while (NetlinkReply.TryRead(ref datagram, out var reply))
            {
                if (reply.Sequence != _sequence) continue;
                if (reply.Type == NetlinkReply.Done) return;
                if (reply.Type != NetlinkReply.Error)
                {
                    read?.Invoke(reply);
                    continue;
                }
                var (errno, explanation) = reply.ReadError();
                if (errno == 0) return;
                throw new LinuxException(explanation.Length == 0 ? operation : $"{operation}: {explanation}", errno);
            }
        }
    }
}
