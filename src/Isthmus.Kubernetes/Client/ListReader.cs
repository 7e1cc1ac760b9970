using System.Buffers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
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

    /// <summary>What comes next: a field of the list, an item or the end of the items, a comma or the end, or an item.</summary>
    private enum Place { Field, FirstItem, Separator, Item }

    private JsonReaderState _state;
    private Place _place;
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
        // An empty list without a version comes from a server that is not an API server. It is not a reason to forget known
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
        var used = 0;
        while (true)
        {
            if (_place != Place.Field) used += TakeItems(json[used..], isLast);
            if (_place != Place.Field) return used;
            var reader = new Utf8JsonReader(json[used..], isLast, _state);
            var taken = 0;
            while (_place == Place.Field && TakeField(ref reader, json[used..])) (_state, taken) = (reader.CurrentState, (int)reader.BytesConsumed);
            used += taken;
            if (_place == Place.Field) return used;
        }
    }

    /// <summary>Reads the complete items, and returns their length. The end of the array is left to the tokenizer, to which the array is
    /// empty.</summary>
    private int TakeItems(ReadOnlySpan<byte> json, bool isLast)
    {
        var used = 0;
        for (int next; (next = json[used..].IndexOfAnyExcept(" \t\r\n"u8)) >= 0;)
        {
            var rest = json[(used + next)..];
            var first = (char)rest[0];
            if (first == ']' && _place != Place.Item)
            {
                _place = Place.Field;
                return used + next;
            }
            var length = 1;
            if (first == ',' && _place == Place.Separator)
            {
                _place = Place.Item;
            }
            else if (first == '{' && _place != Place.Separator)
            {
                length = JsonExtent.Of(rest);
                if (length < 0) break;
                TakeItem(rest[..length]);
                _place = Place.Separator;
            }
            else
            {
                throw new JsonException($"the list of {kind.Plural} has '{first}' where an item begins or ends");
            }
            used += next + length;
        }
        return isLast ? throw new JsonException($"the list of {kind.Plural} ends among its items") : used;
    }

    private void TakeItem(ReadOnlySpan<byte> json)
    {
        var item = JsonSerializer.Deserialize(json, KubeJson.Of<T>())!;
        if (item is JsonObject tree) (tree["apiVersion"], tree["kind"]) = (kind.ApiVersion, kind.Kind);
        each(item);
    }

    /// <summary>Reads a field of the list itself, or its beginning or end.</summary>
    private bool TakeField(ref Utf8JsonReader reader, ReadOnlySpan<byte> json)
    {
        if (!reader.Read()) return false;
        if (reader.TokenType != JsonTokenType.PropertyName) return true;
        var isItems = reader.ValueTextEquals("items"u8);
        var isMetadata = reader.ValueTextEquals("metadata"u8);
        if (!reader.Read()) return false;
        if (isItems && reader.TokenType == JsonTokenType.StartArray)
        {
            _place = Place.FirstItem;
            return true;
        }
        var start = (int)reader.TokenStartIndex;
        if (!reader.TrySkip()) return false;
        if (isMetadata && StrictJson.Parse(json[start..(int)reader.BytesConsumed]) is JsonObject metadata)
            _end = new((string?)metadata["resourceVersion"] ?? "", (string?)metadata["continue"] ?? "");
        return true;
    }
}
