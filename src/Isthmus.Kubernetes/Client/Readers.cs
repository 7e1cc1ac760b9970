using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Json;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Kubernetes.Client;

/// <summary>Reads one line of a watch: <c>{"type": …, "object": …}</c>.</summary>
internal static class WatchReader
{
    internal static WatchEvent<T>? Read<T>(ReadOnlySpan<byte> line)
    {
        var (type, version) = Peek(line, out var value);
        switch (type)
        {
            case "ERROR":
                var status = StrictJson.Parse(value) as JsonObject;
                throw new KubeException((HttpStatusCode)((int?)status?["code"] ?? 500), (string?)status?["reason"] ?? "", (string?)status?["message"] ?? "");
            case "ADDED" or "MODIFIED" or "DELETED" or "BOOKMARK":
                var parsed = JsonSerializer.Deserialize(value, KubeJson.Of<T>())!;
                return new(Enum.Parse<WatchEventType>(type, ignoreCase: true), parsed, version);
            default:
                return null;
        }
    }

    private static (string Type, string Version) Peek(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> value)
    {
        var reader = new Utf8JsonReader(line);
        var (type, version) = ("", "");
        value = default;
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("type"u8))
            {
                reader.Read();
                type = reader.GetString()!;
            }
            else if (reader.ValueTextEquals("object"u8))
            {
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                version = ResourceVersion(reader);
                reader.Skip();
                value = line[start..(int)reader.BytesConsumed];
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        return (type, version);
    }

    private static string ResourceVersion(Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject) return "";
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var metadata = reader.ValueTextEquals("metadata"u8);
            reader.Read();
            if (!metadata || reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var found = reader.ValueTextEquals("resourceVersion"u8);
                reader.Read();
                if (found) return reader.GetString() ?? "";
                reader.Skip();
            }
            return "";
        }
        return "";
    }
}

internal static class LineReader
{
    /// <summary>An object is at most 3 MiB in etcd. A watch line is one object and a little more.</summary>
    private const int LongestLine = 16 << 20;

    internal static async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(Stream stream, [EnumeratorCancellation] CancellationToken stop)
    {
        var pipe = PipeReader.Create(stream);
        try
        {
            while (true)
            {
                var read = await pipe.ReadAsync(stop);
                var buffer = read.Buffer;
                while (buffer.PositionOf((byte)'\n') is { } end)
                {
                    var line = buffer.Slice(0, end);
                    if (!line.IsEmpty) yield return line.IsSingleSegment ? line.First : line.ToArray();
                    buffer = buffer.Slice(buffer.GetPosition(1, end));
                }
                if (buffer.Length > LongestLine) throw new InvalidDataException($"A watch line is longer than {LongestLine} bytes.");
                pipe.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted) yield break;
            }
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }
}
