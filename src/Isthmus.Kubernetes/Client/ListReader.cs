using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Client;

/// <summary>Where a page of a list ends: what the list says besides its items.</summary>
internal readonly record struct ListEnd(string ResourceVersion, string Continue);

/// <summary>Reads a page of a list item by item while it arrives, so that memory holds an item and not the page. Items of
/// built-in kinds lack apiVersion and kind.</summary>
/// <param name="each">Called for each item, also when the page turns out to be broken later.</param>
internal sealed class ListReader<T>(ResourceKind kind, Action<T> each)
{
    private const int FirstBuffer = 64 * 1024;

    private JsonReaderState _state;
    private bool _inItems;
    private ListEnd _end = new("", "");

    internal async Task<ListEnd> ReadAsync(Stream body, CancellationToken stop)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        try
        {
            var (length, wanted) = (0, 1);
            while (true)
            {
                if (length == buffer.Length) buffer = Grown(buffer);
                var read = await body.ReadAsync(buffer.AsMemory(length), stop);
                length += read;
                if (read > 0 && length < wanted) continue;
                var used = Take(buffer.AsSpan(0, length), isLast: read == 0);
                buffer.AsSpan(used, length - used).CopyTo(buffer);
                length -= used;
                // What is incomplete is read again from its start: not before there is much more of it.
                wanted = length * 2;
                if (read == 0) break;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        // An empty list without a version comes from a server that is not an API server. It is no reason to forget known
        // objects.
        return _end.ResourceVersion.Length > 0 ? _end
            : throw new HttpRequestException($"the response is not a list of {kind.Plural}: the server is not an API server");
    }

    private static byte[] Grown(byte[] buffer)
    {
        var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
        buffer.CopyTo(larger.AsSpan());
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }

    /// <summary>Reads the complete parts, and returns their length.</summary>
    private int Take(ReadOnlySpan<byte> json, bool isLast)
    {
        var reader = new Utf8JsonReader(json, isLast, _state);
        var used = 0;
        while (_inItems ? TakeItem(ref reader, json) : TakeField(ref reader, json)) (_state, used) = (reader.CurrentState, (int)reader.BytesConsumed);
        return used;
    }

    private bool TakeItem(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        if (!reader.Read()) return false;
        if (reader.TokenType == JsonTokenType.EndArray)
        {
            _inItems = false;
            return true;
        }
        var start = (int)reader.TokenStartIndex;
        if (!reader.TrySkip()) return false;
        var item = JsonSerializer.Deserialize(json[start..(int)reader.BytesConsumed], KubeJson.Of<T>())!;
        if (item is JsonObject tree) (tree["apiVersion"], tree["kind"]) = (kind.ApiVersion, kind.Kind);
        each(item);
        return true;
    }

    /// <summary>Reads a field of the list itself, or its beginning or end.</summary>
    private bool TakeField(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        if (!reader.Read()) return false;
        if (reader.TokenType != JsonTokenType.PropertyName) return true;
        var isItems = reader.ValueTextEquals("items"u8);
        var isMetadata = reader.ValueTextEquals("metadata"u8);
        if (!reader.Read()) return false;
        if (isItems && reader.TokenType == JsonTokenType.StartArray) return _inItems = true;
        var start = (int)reader.TokenStartIndex;
        if (!reader.TrySkip()) return false;
        if (isMetadata && JsonNode.Parse(json[start..(int)reader.BytesConsumed]) is JsonObject metadata)
            _end = new((string?)metadata["resourceVersion"] ?? "", (string?)metadata["continue"] ?? "");
        return true;
    }
}
