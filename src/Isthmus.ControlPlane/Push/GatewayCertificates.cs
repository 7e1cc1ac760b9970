using System.Collections.Immutable;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;

namespace Isthmus.ControlPlane.Push;

/// <summary>
/// The certificates of the servers of gateways. While the Secret that a server names is missing or cannot be used, its last good
/// certificate stays, also for a gateway that restarts. It is kept for as long as the server exists, in memory only: no private key
/// is stored anywhere else. Not thread-safe.
/// </summary>
internal sealed class GatewayCertificates
{
    /// <param name="Hosts">A server for other hosts is another server: it must not get their certificate.</param>
    /// <param name="Index">The place in the server's list of certificates.</param>
    private readonly record struct ServerKey(string Cluster, string Namespace, string Gateway, int Port, Address? Bind, ValueList<string> Hosts, int Index);

    /// <param name="Pair">Where the last usable certificate and key were found; null: nowhere yet.</param>
    /// <param name="Ca">The same for the CA of clients.</param>
    private sealed record LastGood(TlsCredential? Pair, TlsCredential? Ca)
    {
        public bool Serves(bool needsCa) => Pair is not null && (Ca is not null || !needsCa);
    }

    private readonly Dictionary<ServerKey, string> _names = [];
    private readonly Dictionary<ObjectKey, LastGood> _good = [];
    private ImmutableDictionary<string, ValueList<Gateway>> _gateways = ImmutableDictionary<string, ValueList<Gateway>>.Empty;
    private ImmutableDictionary<ObjectKey, TlsCredential> _credentials = ImmutableDictionary<ObjectKey, TlsCredential>.Empty;

    private ImmutableDictionary<ObjectKey, TlsCredential> _bundles = ImmutableDictionary<ObjectKey, TlsCredential>.Empty;

    /// <summary>How many certificates are kept.</summary>
    public int Count => _good.Count;

    /// <summary>Another number as soon as it may find something else.</summary>
    public long Version { get; private set; }

    /// <summary>Must be called for each revision of the mesh, before the gateways get it.</summary>
    public void Follow(ProxyConfigs configs)
    {
        var isSame = ReferenceEquals(_gateways, configs.GatewaysByLabel) && ReferenceEquals(_credentials, configs.Credentials);
        if (!isSame || !ReferenceEquals(_bundles, configs.CaBundles)) Version++;
        _bundles = configs.CaBundles;
        if (isSame) return;
        (_gateways, _credentials) = (configs.GatewaysByLabel, configs.Credentials);
        var places = _credentials.Keys.Concat(_good.Keys).Select(key => (key.Cluster, key.Namespace)).ToHashSet();
        var (servers, used) = (new HashSet<ServerKey>(), new HashSet<ObjectKey>());
        foreach (var (cluster, ns) in places)
        {
            foreach (var gateway in _gateways.Values.SelectMany(gateways => gateways))
            {
                foreach (var server in gateway.Servers)
                {
                    foreach (var (index, credential) in (server.Tls?.Credentials ?? []).Index())
                    {
                        if (credential.Namespace.Length > 0 && credential.Namespace != ns) continue;
                        var key = KeyOf(cluster, ns, gateway, server, index);
                        servers.Add(key);
                        Refresh(new(cluster, ns, credential.Name), used);
                        if (_good.GetValueOrDefault(new(cluster, ns, credential.Name))?.Serves(server.Tls!.NeedsCa(index)) == true)
                            _names[key] = credential.Name;
                        else if (_names.TryGetValue(key, out var last)) Refresh(new(cluster, ns, last), used);
                    }
                }
            }
        }
        foreach (var gone in _names.Keys.Where(key => !servers.Contains(key)).ToList()) _names.Remove(gone);
        // Not the name alone counts: what no server names in its namespace is not refreshed there, and would be served when it is out of date.
        foreach (var gone in _good.Keys.Where(key => !used.Contains(key)).ToList()) _good.Remove(gone);
    }

    /// <summary>The scope with, for each server whose own name has nothing usable, the name under which its last good certificate is kept.</summary>
    public GatewayScope Resolve(GatewayScope gateway, ProxyIdentity proxy)
    {
        if (gateway.Gateways.All(item => item.Servers.All(server => server.Tls is not { } tls || Kept(proxy, item, server, tls) == tls.Credentials)))
            return gateway;
        return gateway with
        {
            Gateways = gateway.Gateways.Select(item => item with
            {
                Servers = item.Servers.Select(server => server.Tls is { } tls
                    ? server with { Tls = tls with { Credentials = Kept(proxy, item, server, tls) } }
                    : server)
                    .ToValueList(),
            }).ToValueList(),
        };
    }

    /// <summary>Whether a gateway gets a certificate, and if necessary a CA, for the server.</summary>
    /// <param name="index">The place in the server's list of certificates.</param>
    public bool Serves(ProxyIdentity proxy, Gateway gateway, GatewayServer server, int index) =>
        server.Tls is { } tls
            && _good.GetValueOrDefault(new(proxy.Cluster, PlaceOf(proxy, tls.Credentials[index]),
                Name(proxy, gateway, server, tls, index)))?.Serves(tls.NeedsCa(index)) == true;

    /// <summary>What a gateway gets under a name: a Secret of its own namespace, or an object that somebody has permitted its Gateway to refer to.</summary>
    public TlsCredential? Find(ProxyIdentity proxy, NamedCredential credential)
    {
        if (credential.Holder != CredentialHolder.Secret) return _bundles.GetValueOrDefault(new(proxy.Cluster, credential.Namespace, credential.Name));
        var key = new ObjectKey(proxy.Cluster, PlaceOf(proxy, credential), credential.Name);
        var now = _credentials.GetValueOrDefault(key);
        if (!_good.TryGetValue(key, out var good) || (good.Pair ?? good.Ca) is not { } source) return now;
        var (pair, ca) = (good.Pair ?? now, good.Ca ?? now);
        return new(now?.Source ?? source.Source, pair?.Certificate ?? "", pair?.PrivateKey ?? "",
            ca?.CaCertificates ?? "") { Revocations = ca?.Revocations ?? "" };
    }

    private ValueList<NamedCredential> Kept(ProxyIdentity proxy, Gateway gateway, GatewayServer server, ServerTls tls) =>
        tls.Credentials.Select((credential, index) => credential with { Name = Name(proxy, gateway, server, tls, index) }).ToValueList();

    private string Name(ProxyIdentity proxy, Gateway gateway, GatewayServer server, ServerTls tls, int index) =>
        _names.TryGetValue(KeyOf(proxy.Cluster, PlaceOf(proxy, tls.Credentials[index]), gateway, server, index), out var last)
            && _good.GetValueOrDefault(new(proxy.Cluster, PlaceOf(proxy, tls.Credentials[index]), last))?.Serves(tls.NeedsCa(index)) == true
            ? last
            : tls.Credentials[index].Name;

    private void Refresh(ObjectKey key, HashSet<ObjectKey> used)
    {
        used.Add(key);
        var (now, before) = (_credentials.GetValueOrDefault(key), _good.GetValueOrDefault(key));
        var ca = GatewayCredentials.CaOf(new(key.Name, ""), name => _credentials.GetValueOrDefault(key with { Name = name.Name }));
        var next = new LastGood(now is { HasPair: true } ? now : before?.Pair, ca is { HasCa: true } ? ca : before?.Ca);
        if (next is not { Pair: null, Ca: null }) _good[key] = next;
    }

    private static string PlaceOf(ProxyIdentity proxy, NamedCredential credential) => credential.Namespace.Length > 0 ? credential.Namespace : proxy.Namespace;

    private static ServerKey KeyOf(string cluster, string ns, Gateway gateway, GatewayServer server, int index) =>
        new(cluster, ns, gateway.FullName, server.Port, server.Bind, server.Hosts, index);
}
