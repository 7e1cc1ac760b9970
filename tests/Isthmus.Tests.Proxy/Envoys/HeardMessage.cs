using System.Globalization;

namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>A message of HTTP/1.1 as a peer has heard it.</summary>
/// <param name="Start">The line before the fields.</param>
/// <param name="Fields">With names in lower case.</param>
/// <param name="Body">Without its framing.</param>
/// <param name="Trailers">The fields after a body in chunks.</param>
internal sealed record HeardMessage(string Start, IReadOnlyList<(string Name, string Value)> Fields, string Body,
    IReadOnlyList<(string Name, string Value)> Trailers)
{
    /// <summary>Its status, if it is an answer.</summary>
    internal int Status => int.TryParse(Start.Split(' ').ElementAtOrDefault(1), CultureInfo.InvariantCulture, out var status) ? status : 0;

    /// <summary>The value of a field, if it is there.</summary>
    internal string? this[string name] => Fields.FirstOrDefault(field => field.Name == name).Value;

    /// <summary>Reads one; null: it is not complete.</summary>
    /// <param name="text">One character for each byte.</param>
    /// <param name="at">Where it begins; moves behind it.</param>
    /// <param name="bodyOf">Whether a message with this head has a body; null: read it as the head says.</param>
    /// <param name="isEnd">Nothing follows the text.</param>
    /// <param name="isAnswer">Whether a body without a length ends with the connection.</param>
    internal static HeardMessage? Read(string text, ref int at, bool isEnd, bool isAnswer, Func<HeardMessage, bool>? bodyOf = null)
    {
        var end = text.IndexOf("\r\n\r\n", at, StringComparison.Ordinal);
        if (end < 0) return null;
        var lines = text[at..end].Split("\r\n");
        var head = new HeardMessage(lines[0], FieldsOf(lines.AsSpan(1)), "", []);
        var next = end + 4;
        if (bodyOf?.Invoke(head) != false)
        {
            if (head["transfer-encoding"] is not null) return Chunks(text, ref at, next, head);
            var length = head["content-length"] is { } value ? int.Parse(value, CultureInfo.InvariantCulture)
                : isAnswer ? isEnd ? text.Length - next : int.MaxValue : 0;
            if (text.Length - next < length)
            {
                if (!isEnd) return null;
                head = head with { Body = text[next..] + " (cut off)" };
                at = text.Length;
                return head;
            }
            head = head with { Body = text.Substring(next, length) };
            next += length;
        }
        at = next;
        return head;

        HeardMessage? Chunks(string text, ref int at, int next, HeardMessage head)
        {
            var body = "";
            while (text.IndexOf("\r\n", next, StringComparison.Ordinal) is >= 0 and var line)
            {
                var length = int.Parse(text[next..line].Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                next = line + 2;
                if (length > 0)
                {
                    if (text.Length < next + length + 2) break;
                    body += text.Substring(next, length);
                    next += length + 2;
                    continue;
                }
                var last = text.IndexOf("\r\n", next, StringComparison.Ordinal);
                if (last == next)
                {
                    at = next + 2;
                    return head with { Body = body };
                }
                last = text.IndexOf("\r\n\r\n", next, StringComparison.Ordinal);
                if (last < 0) break;
                at = last + 4;
                return head with { Body = body, Trailers = FieldsOf(text[next..last].Split("\r\n")) };
            }
            if (!isEnd) return null;
            at = text.Length;
            return head with { Body = body + " (cut off)" };
        }
    }

    private static List<(string, string)> FieldsOf(ReadOnlySpan<string> lines)
    {
        var fields = new List<(string, string)>();
        foreach (var line in lines)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            fields.Add(colon < 0 ? (line, "") : (line[..colon].ToLowerInvariant(), line[(colon + 1)..].Trim(' ')));
        }
        return fields;
    }
}
