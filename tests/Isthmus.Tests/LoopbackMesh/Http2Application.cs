using System.Buffers.Binary;
using System.Net.Sockets;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>An application that speaks HTTP/2 only, as servers of gRPC do: it answers each stream with success and nothing else.</summary>
internal static class Http2Application
{
    private const byte Headers = 1, Settings = 4, Ping = 6, Ack = 1, EndStream = 1, EndHeaders = 4;

    private static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;

    /// <summary>:status 200, content-type application/grpc and grpc-status 0, without a table and without Huffman.</summary>
    private static readonly byte[] Answer = [0x88, 0x0f, 0x10, 16, .. "application/grpc"u8, 0, 11, .. "grpc-status"u8, 1, (byte)'0'];

    internal static async Task ServeAsync(Socket socket, CancellationToken stop)
    {
        await using var stream = new NetworkStream(socket);
        var head = new byte[Preface.Length];
        await stream.ReadExactlyAsync(head, stop);
        if (!Preface.SequenceEqual(head)) return;
        await stream.WriteAsync(Frame(Settings, 0, 0, []), stop);
        var frame = new byte[9];
        while (await stream.ReadAtLeastAsync(frame, frame.Length, throwOnEndOfStream: false, stop) == frame.Length)
        {
            var (type, flags, id) = (frame[3], frame[4], BinaryPrimitives.ReadInt32BigEndian(frame.AsSpan(5)));
            var body = new byte[(frame[0] << 16) | (frame[1] << 8) | frame[2]];
            await stream.ReadExactlyAsync(body, stop);
            if (type == Settings && (flags & Ack) == 0) await stream.WriteAsync(Frame(Settings, Ack, 0, []), stop);
            if (type == Ping && (flags & Ack) == 0) await stream.WriteAsync(Frame(Ping, Ack, 0, body), stop);
            if (type == Headers) await stream.WriteAsync(Frame(Headers, EndStream | EndHeaders, id, Answer), stop);
        }
    }

    private static byte[] Frame(byte type, byte flags, int id, ReadOnlySpan<byte> body)
    {
        byte[] frame = [0, (byte)(body.Length >> 8), (byte)body.Length, type, flags, 0, 0, 0, 0, .. body];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), id);
        return frame;
    }
}
