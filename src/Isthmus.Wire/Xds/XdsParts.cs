using System.Collections.Immutable;
using Google.Protobuf;
using Isthmus.Wire.Envoy.Routes;

namespace Isthmus.Wire.Xds;

/// <summary>A resource that is mostly a list of messages, such as the virtual hosts of a route table: its parts, which versions of it share,
/// and the head, which is everything else.</summary>
/// <param name="Head">Encoded, without the parts.</param>
/// <param name="Field">The number of the repeated field that the parts are in.</param>
/// <param name="Items">The parts.</param>
public sealed record XdsParts(ByteString Head, int Field, ImmutableArray<XdsPart> Items)
{
    /// <summary>The parts can be sent as resources of their own: there are some, each has a name without a slash that no other has, and the head does not
    /// say that they come from elsewhere.</summary>
    public bool AreResources { get; init; }

    /// <summary>The field with the parts of a type's resources; 0: they have none.</summary>
    public static int FieldOf(string typeUrl) => typeUrl == TypeUrls.Route ? RouteConfiguration.VirtualHostsFieldNumber : 0;

    /// <summary>The parts are views of the resource's bytes.</summary>
    /// <exception cref="InvalidProtocolBufferException">The bytes are malformed.</exception>
    public static XdsParts Split(ByteString resource, int field)
    {
        var input = resource.CreateCodedInput();
        var wanted = WireFormat.MakeTag(field, WireFormat.WireType.LengthDelimited);
        var items = ImmutableArray.CreateBuilder<XdsPart>();
        var head = new MemoryStream();
        // Views of other bytes begin where they do in these.
        var (start, begun) = ((int)input.Position, 0);
        for (uint tag; (tag = input.ReadTag()) != 0; begun = (int)input.Position - start)
        {
            var from = (int)input.Position - start;
            input.SkipLastField();
            var end = (int)input.Position - start;
            if (tag != wanted)
            {
                head.Write(resource.Span[begun..end]);
                continue;
            }
            while ((resource.Span[from++] & 0x80) != 0)
            {
                // The length, which was read before.
            }
            items.Add(XdsPart.Read(UnsafeByteOperations.UnsafeWrap(resource.Memory[from..end])));
        }
        return new(ByteString.CopyFrom(head.ToArray()), field, items.DrainToImmutable());
    }

    /// <summary>The same; <see cref="AreResources"/> is as it can be.</summary>
    public XdsParts WithResources() => this with { AreResources = VirtualHosts.AreToldApart(Items) && RouteConfiguration.Parser.ParseFrom(Head).Vhds is null };

    /// <summary>The whole resource.</summary>
    public ByteString Join()
    {
        var tag = WireFormat.MakeTag(Field, WireFormat.WireType.LengthDelimited);
        var size = Head.Length;
        foreach (var item in Items) size += CodedOutputStream.ComputeRawVarint32Size(tag) + CodedOutputStream.ComputeBytesSize(item.Bytes);
        var bytes = new byte[size];
        var output = new CodedOutputStream(bytes);
        foreach (var value in Head.Span) output.WriteRawTag(value);
        foreach (var item in Items)
        {
            output.WriteTag(tag);
            output.WriteBytes(item.Bytes);
        }
        output.CheckNoSpaceLeft();
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    public bool Equals(XdsParts? other) => ReferenceEquals(this, other)
        || (other is not null && Field == other.Field && Items.Length == other.Items.Length && Head.Equals(other.Head)
            && Items.AsSpan().SequenceEqual(other.Items.AsSpan()));

    public override int GetHashCode() => HashCode.Combine(Field, Items.Length, Head);
}
