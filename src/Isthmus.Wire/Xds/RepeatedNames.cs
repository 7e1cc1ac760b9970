using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using Google.Protobuf;
using Isthmus.Wire.Envoy;

namespace Isthmus.Wire.Xds;

/// <summary>
/// The names that a client of a state-of-the-world stream subscribes to, by type, in the order of its last request. A client repeats them
/// with each acknowledgement: a request that does so takes these instead of decoding thousands of names again. From any thread.
/// </summary>
public sealed class RepeatedNames
{
    private readonly ConcurrentDictionary<string, string[]> _names = new(StringComparer.Ordinal);

    /// <summary>The last names of a type; null: none are remembered. Do not modify them.</summary>
    internal string[]? Of(string type) => _names.GetValueOrDefault(type);

    internal void Remember(string type, string[] names)
    {
        if (names.Length == 0) _names.TryRemove(type, out _);
        else _names[type] = names;
    }

    /// <summary>Decodes a request.</summary>
    /// <exception cref="InvalidProtocolBufferException">The bytes are not a request.</exception>
    internal DiscoveryRequest Parse(ReadOnlySequence<byte> message)
    {
        if (_names.IsEmpty) return DiscoveryRequest.Parser.ParseFrom(message);
        if (message.IsSingleSegment) return Parse(message.FirstSpan) ?? DiscoveryRequest.Parser.ParseFrom(message);
        var length = checked((int)message.Length);
        var rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            message.CopyTo(rented);
            return Parse(rented.AsSpan(0, length)) ?? DiscoveryRequest.Parser.ParseFrom(message);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Null when the request does not repeat the names, or is not simple enough to tell.</summary>
    private DiscoveryRequest? Parse(ReadOnlySpan<byte> message)
    {
        if (TypeOf(message) is not { } type || Of(type) is not { } names) return null;
        var (next, rest) = (0, new ArrayBufferWriter<byte>());
        for (var left = message; left.Length > 0;)
        {
            var field = left;
            if (!TryRead(ref left, out var number, out var value)) return null;
            if (number != DiscoveryRequest.ResourceNamesFieldNumber) rest.Write(field[..^left.Length]);
            else if (next == names.Length || !Ascii.Equals(value, names[next++])) return null;
        }
        if (next < names.Length) return null;
        var request = DiscoveryRequest.Parser.ParseFrom(rest.WrittenSpan);
        request.ResourceNames.Add(names);
        return request;
    }

    private static string? TypeOf(ReadOnlySpan<byte> message)
    {
        string? type = null;
        while (message.Length > 0)
        {
            if (!TryRead(ref message, out var number, out var value)) return null;
            if (number == DiscoveryRequest.TypeUrlFieldNumber) type = Encoding.UTF8.GetString(value);
        }
        return type;
    }

    /// <summary>Takes the next field. All fields of a request have a length; false for any other.</summary>
    private static bool TryRead(ref ReadOnlySpan<byte> message, out int number, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (!TryReadNumber(ref message, out number) || (number & 7) != (int)WireFormat.WireType.LengthDelimited) return false;
        number >>= 3;
        if (!TryReadNumber(ref message, out var length) || length > message.Length) return false;
        value = message[..length];
        message = message[length..];
        return true;
    }

    /// <summary>False for numbers of more than four bytes.</summary>
    private static bool TryReadNumber(ref ReadOnlySpan<byte> message, out int number)
    {
        number = 0;
        for (var i = 0; i < message.Length && i < 4; i++)
        {
            number |= (message[i] & 0x7F) << (7 * i);
            if (message[i] > 0x7F) continue;
            message = message[(i + 1)..];
            return true;
        }
        return false;
    }
}
