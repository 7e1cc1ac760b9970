using System.Buffers.Binary;
using System.Net;
using Isthmus.Tests.Mesh.Lab;

namespace Isthmus.Tests.Mesh.Gateways;

/// <summary>The traffic between the networks of two clusters during a call.</summary>
/// <param name="Flows">Directions of TCP connections that began during the trace.</param>
/// <param name="Payloads">Segments with data at the gateways' port.</param>
/// <param name="NotTls">What is wrong: data that is not a sequence of TLS records, or a port other than those of the
/// gateways and API servers.</param>
internal sealed record MeshTrace(int Flows, int Payloads, IReadOnlyList<string> NotTls)
{
    private const int Gateway = 15443;
    private const int ApiServer = 6443;
    private const int Tcp = 6;
    private const int Udp = 17;
    private const int UdpHeader = 8;

    private sealed record Segment(string Flow, int From, int To, uint Sequence, bool Begins, byte[] Data);

    /// <summary>Captures at the outer interface of cluster2's node while <paramref name="work"/> runs.</summary>
    internal static async Task<(MeshTrace Trace, string Answers)> RunAsync(LabRig lab, Func<Task<string>> work)
    {
        using var capture = PacketCapture.Start(lab.Supervisor, "cluster2", "eth0");
        var answers = await work();
        return (Judge([.. capture.End().Select(frame => Parse(frame)).OfType<Segment>()]), answers);
    }

    private static MeshTrace Judge(IReadOnlyList<Segment> segments)
    {
        var wrong = new List<string>();
        foreach (var segment in segments)
        {
            if (segment.Data.Length > 0 && !Is(segment, Gateway) && !Is(segment, ApiServer)) wrong.Add($"{segment.Flow}: another port");
        }
        var flows = segments.GroupBy(segment => segment.Flow).Where(flow => flow.Any(segment => segment.Begins) && Is(flow.First(), Gateway)).ToList();
        foreach (var flow in flows)
        {
            if (FirstWrong(Join([.. flow])) is { } offset) wrong.Add($"{flow.Key}: no TLS record at byte {offset}");
        }
        return new(flows.Count, segments.Count(segment => Is(segment, Gateway) && segment.Data.Length > 0), wrong);
    }

    private static bool Is(Segment segment, int port) => segment.From == port || segment.To == port;

    /// <summary>The bytes of one direction in order, each once, up to the first gap.</summary>
    private static byte[] Join(List<Segment> flow)
    {
        var start = flow.First(segment => segment.Begins).Sequence + 1;
        var bytes = new List<byte>();
        foreach (var segment in flow.Where(segment => segment.Data.Length > 0).OrderBy(segment => segment.Sequence - start))
        {
            var offset = (int)(segment.Sequence - start);
            if (offset > bytes.Count) break;
            bytes.AddRange(segment.Data.Skip(bytes.Count - offset));
        }
        return [.. bytes];
    }

    /// <summary>The offset of the first record that is not TLS; null when all are.</summary>
    private static int? FirstWrong(byte[] bytes)
    {
        for (var at = 0; at + 5 <= bytes.Length; at += 5 + BinaryPrimitives.ReadUInt16BigEndian(bytes.AsSpan(at + 3)))
        {
            if (bytes[at] is < 20 or > 23 || bytes[at + 1] != 3) return at;
        }
        return null;
    }

    private static Segment? Parse(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < 54 || BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) != 0x0800) return null;
        var packet = frame[14..];
        packet = packet[..BinaryPrimitives.ReadUInt16BigEndian(packet[2..])];
        // Errors of ICMP quote the packets that they are about; they are nobody's data.
        if (packet[9] is not (Tcp or Udp)) return null;
        var segment = packet[((packet[0] & 15) * 4)..];
        var (from, to) = (BinaryPrimitives.ReadUInt16BigEndian(segment), BinaryPrimitives.ReadUInt16BigEndian(segment[2..]));
        var flow = $"{new IPAddress(packet[12..16])}:{from} → {new IPAddress(packet[16..20])}:{to}";
        return packet[9] == Udp
            ? new(flow, from, to, 0, false, segment[UdpHeader..].ToArray())
            : new(flow, from, to, BinaryPrimitives.ReadUInt32BigEndian(segment[4..]), (segment[13] & 2) != 0, segment[((segment[12] >> 4) * 4)..].ToArray());
    }
}
