using System.Text;
using Isthmus.Proxy.Dumps;
using Isthmus.Proxy.Messages;
using Isthmus.Proxy.Transports;

namespace Isthmus.Proxy.Admin;

/// <summary>Answers to Prometheus. They are written piece by piece, since their text may be much larger than everything else that a proxy holds, and
/// a part that fails takes no other with it.</summary>
internal static class Scrape
{
    private const int PieceBytes = 32 * 1024;

    /// <summary>An answer of several parts, one after another.</summary>
    public static AdminReply Reply(params IReadOnlyList<AdminBody> parts) => new(200, "text/plain; version=0.0.4; charset=utf-8", default)
    {
        Stream = async (send, stop) =>
        {
            foreach (var part in parts) await part(send, stop).ConfigureAwait(false);
        },
    };

    /// <summary>The same, compressed as the client prefers, if at all.</summary>
    public static AdminReply Reply(RequestHead request, bool compresses, params IReadOnlyList<AdminBody> parts)
    {
        var plain = Reply(parts);
        var coding = compresses ? ScrapeCoding.Of(request.Headers.GetString("accept-encoding"u8) ?? "") : "";
        return coding.Length == 0 ? plain : plain with { ContentEncoding = coding, Stream = ScrapeCoding.Compress(coding, plain.Stream!) };
    }

    /// <summary>Families of metrics, each of complete lines.</summary>
    /// <param name="failed">Receives the failure of a family; the others follow.</param>
    public static AdminBody Of(IEnumerable<IEnumerable<string>> families, Action<string, Exception> failed) => async (send, _) =>
    {
        var piece = new byte[PieceBytes];
        var used = 0;
        foreach (var family in families)
        {
            try
            {
                foreach (var line in family)
                {
                    if (Encoding.UTF8.GetMaxByteCount(line.Length) > piece.Length - used && used > 0)
                    {
                        await send(piece.AsMemory(0, used)).ConfigureAwait(false);
                        used = 0;
                    }
                    if (Encoding.UTF8.GetMaxByteCount(line.Length) > piece.Length) piece = new byte[Encoding.UTF8.GetMaxByteCount(line.Length)];
                    used += Encoding.UTF8.GetBytes(line, piece.AsSpan(used));
                }
            }
            catch (Exception e) when (e is not (TransportException or OperationCanceledException))
            {
                failed("metrics", e);
            }
        }
        await send(piece.AsMemory(0, used)).ConfigureAwait(false);
    };
}
