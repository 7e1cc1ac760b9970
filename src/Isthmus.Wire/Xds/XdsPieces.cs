using System.Buffers;
using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;

namespace Isthmus.Wire.Xds;

/// <summary>Responses as pieces of bytes that are written one after the other. The bytes of a resource are those that its
/// generator encoded: no stream has a copy. A piece is valid until the next one is taken.</summary>
internal static class XdsPieces
{
    // Field numbers of both kinds of responses, of Resource and of Any.
    private const int Resources = 2;
    private const int ResourceVersion = 1, ResourceBody = 2, ResourceName = 3;
    private const int AnyTypeUrl = 1, AnyValue = 2;

    internal static IEnumerable<ReadOnlyMemory<byte>> Of(DeltaDiscoveryResponse response)
    {
        var rest = new DeltaDiscoveryResponse
        {
            SystemVersionInfo = response.SystemVersionInfo, TypeUrl = response.TypeUrl, Nonce = response.Nonce, ControlPlane = response.ControlPlane
        };
        rest.RemovedResources.Add(response.RemovedResources);
        yield return rest.ToByteArray();
        var head = new ArrayBufferWriter<byte>();
        foreach (var resource in response.Resources)
        {
            head.ResetWrittenCount();
            PutLength(head, Resources, resource.CalculateSize());
            if (resource.Resource_ is null)
            {
                head.Write(resource.ToByteArray());
                yield return head.WrittenMemory;
                continue;
            }
            PutText(head, ResourceName, resource.Name);
            PutText(head, ResourceVersion, resource.Version);
            PutLength(head, ResourceBody, resource.Resource_.CalculateSize());
            PutHead(head, resource.Resource_);
            yield return head.WrittenMemory;
            yield return resource.Resource_.Value.Memory;
        }
    }

    internal static IEnumerable<ReadOnlyMemory<byte>> Of(DiscoveryResponse response)
    {
        var rest = new DiscoveryResponse
        {
            VersionInfo = response.VersionInfo, TypeUrl = response.TypeUrl, Nonce = response.Nonce, ControlPlane = response.ControlPlane
        };
        yield return rest.ToByteArray();
        var head = new ArrayBufferWriter<byte>();
        foreach (var resource in response.Resources)
        {
            head.ResetWrittenCount();
            PutLength(head, Resources, resource.CalculateSize());
            PutHead(head, resource);
            yield return head.WrittenMemory;
            yield return resource.Value.Memory;
        }
    }

    private static void PutHead(ArrayBufferWriter<byte> into, Any any)
    {
        PutText(into, AnyTypeUrl, any.TypeUrl);
        if (any.Value.Length > 0) PutLength(into, AnyValue, any.Value.Length);
    }

    private static void PutText(ArrayBufferWriter<byte> into, int field, string text)
    {
        if (text.Length == 0) return;
        PutLength(into, field, Encoding.UTF8.GetByteCount(text));
        Encoding.UTF8.GetBytes(text, into);
    }

    /// <summary>The tag of a field whose length is given, and the length.</summary>
    private static void PutLength(ArrayBufferWriter<byte> into, int field, int length)
    {
        PutNumber(into, ((uint)field << 3) | (uint)WireFormat.WireType.LengthDelimited);
        PutNumber(into, (uint)length);
    }

    private static void PutNumber(ArrayBufferWriter<byte> into, uint number)
    {
        const int Longest = 5;
        var span = into.GetSpan(Longest);
        var length = 0;
        for (; number > 0x7F; number >>= 7) span[length++] = (byte)(number | 0x80);
        span[length++] = (byte)number;
        into.Advance(length);
    }
}
