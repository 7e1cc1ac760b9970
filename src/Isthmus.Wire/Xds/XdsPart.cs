using System.Buffers.Binary;
using System.Security.Cryptography;
using Google.Protobuf;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Wire.Xds;

/// <summary>A virtual host, encoded once for all route tables that have it.</summary>
public sealed class XdsPart : IEquatable<XdsPart>
{
    private static readonly uint NameTag = WireFormat.MakeTag(VirtualHost.NameFieldNumber, WireFormat.WireType.LengthDelimited);
    private UInt128 _hash;
    private bool _isHashed;

    /// <param name="name">Its name in the table.</param>
    /// <param name="bytes">The message.</param>
    internal XdsPart(string name, ByteString bytes) => (Name, Bytes) = (name, bytes);

    public static XdsPart Of(VirtualHost host) => new(host.Name, host.ToByteString());

    /// <exception cref="InvalidProtocolBufferException">The bytes are malformed.</exception>
    internal static XdsPart Read(ByteString bytes)
    {
        var input = bytes.CreateCodedInput();
        var name = "";
        for (uint tag; (tag = input.ReadTag()) != 0;)
        {
            if (tag == NameTag) name = input.ReadString();
            else input.SkipLastField();
        }
        return new(name, bytes);
    }

    public string Name { get; }

    public ByteString Bytes { get; }

    /// <summary>Of the bytes.</summary>
    public UInt128 Hash
    {
        get
        {
            // Threads that come at once find the same.
            if (Volatile.Read(ref _isHashed)) return _hash;
            Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
            SHA256.HashData(Bytes.Span, hash);
            _hash = BinaryPrimitives.ReadUInt128BigEndian(hash);
            Volatile.Write(ref _isHashed, true);
            return _hash;
        }
    }

    /// <summary>Equal versions mean equal bytes.</summary>
    internal string Version => ((ulong)(Hash >> 64)).ToString("x16", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The message with another name.</summary>
    internal ByteString Named(string name)
    {
        var input = Bytes.CreateCodedInput();
        using var renamed = new MemoryStream(Bytes.Length + name.Length + 8);
        new VirtualHost { Name = name }.WriteTo(renamed);
        // Views of other bytes begin where they do in these.
        var (start, begun) = ((int)input.Position, 0);
        for (uint tag; (tag = input.ReadTag()) != 0; begun = (int)input.Position - start)
        {
            input.SkipLastField();
            if (tag != NameTag) renamed.Write(Bytes.Span[begun..((int)input.Position - start)]);
        }
        return UnsafeByteOperations.UnsafeWrap(renamed.GetBuffer().AsMemory(0, (int)renamed.Length));
    }

    public bool Equals(XdsPart? other) => ReferenceEquals(this, other) || (other is not null && Bytes.Equals(other.Bytes));

    public override bool Equals(object? obj) => Equals(obj as XdsPart);

    public override int GetHashCode() => Bytes.GetHashCode();
}
