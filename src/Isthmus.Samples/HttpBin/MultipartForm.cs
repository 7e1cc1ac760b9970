using System.Text;

namespace Isthmus.Samples.HttpBin;

/// <summary>Takes a <c>multipart/form-data</c> body apart (RFC 7578).</summary>
internal static class MultipartForm
{
    private const int MaxParts = 1000;

    internal static bool TryParse(string contentType, ReadOnlyMemory<byte> body,
        out List<KeyValuePair<string, string>> form, out List<KeyValuePair<string, string>> files)
    {
        (form, files) = ([], []);
        var boundary = Parameter(contentType, "boundary");
        if (boundary is null) return false;
        var mark = Encoding.Latin1.GetBytes("--" + boundary);
        var next = Encoding.Latin1.GetBytes("\r\n--" + boundary);
        var rest = body;
        if (!rest.Span.StartsWith(mark)) return false;
        rest = rest[mark.Length..];
        while (rest.Span.StartsWith("\r\n"u8) && form.Count + files.Count < MaxParts)
        {
            rest = rest[2..];
            var headEnd = rest.Span.IndexOf("\r\n\r\n"u8);
            var end = rest.Span.IndexOf(next);
            if (headEnd < 0 || end < headEnd) return false;
            var disposition = Disposition(Encoding.UTF8.GetString(rest.Span[..headEnd]));
            // An empty part ends where its head ends: the boundary's line break is the head's.
            var content = rest[Math.Min(headEnd + 4, end)..end];
            rest = rest[(end + next.Length)..];
            if (disposition is null || Parameter(disposition, "name") is not { } name) continue;
            (Parameter(disposition, "filename") is null ? form : files).Add(new(name, Echo.Text(content)));
        }
        return true;
    }

    private static string? Disposition(string head)
    {
        foreach (var line in head.Split("\r\n"))
            if (line.StartsWith("Content-Disposition:", StringComparison.OrdinalIgnoreCase)) return line;
        return null;
    }

    private static string? Parameter(string header, string name)
    {
        foreach (var part in header.Split(';', StringSplitOptions.TrimEntries).Skip(1))
        {
            var pair = part.Split('=', 2);
            if (pair.Length == 2 && pair[0].Equals(name, StringComparison.OrdinalIgnoreCase)) return pair[1].Trim('"');
        }
        return null;
    }
}
