using System.IO.Compression;
using Isthmus.Samples.Http;

namespace Isthmus.Samples.HttpBin;

/// <summary>Answers with a content coding, regardless of what the caller accepts.</summary>
internal static class Compression
{
    internal static HttpReply Answer(HttpRequest request, string word)
    {
        var described = Echo.Describe(request, withBody: false, withMethod: true);
        described.Remove("args");
        described.Remove("url");
        described.Insert(0, word == "gzip" ? "gzipped" : word == "deflate" ? "deflated" : "brotli", true);
        var plain = Echo.Json(200, described);
        using var memory = new MemoryStream();
        using (var packer = Packer(word, memory)) packer.Write(plain.Body.Span);
        return (plain with { Body = memory.ToArray() }).With(new KeyValuePair<string, string>("Content-Encoding", word == "brotli" ? "br" : word));
    }

    private static Stream Packer(string word, Stream to) => word switch
    {
        "gzip" => new GZipStream(to, CompressionLevel.Fastest, leaveOpen: true),
        "deflate" => new ZLibStream(to, CompressionLevel.Fastest, leaveOpen: true),
        _ => new BrotliStream(to, CompressionLevel.Fastest, leaveOpen: true),
    };
}
