using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Google.Protobuf;

namespace Isthmus.Wire.Grpc;

/// <summary>Length-prefixed messages (gRPC over HTTP/2): one flag byte, four bytes of length, the message.</summary>
internal static class GrpcFraming
{
    public const int HeaderSize = 5;

    /// <summary>The limit of most gRPC libraries for one received message, in bytes.</summary>
    public const int DefaultMaxMessage = 4 * 1024 * 1024;

    /// <summary>The largest message that is written in one go, in bytes: with its header, it fits into a block of a server's memory.</summary>
    public const int LargestSpan = 4000;

    /// <summary>How much of a message is written before the socket must take it, in bytes.</summary>
    public const int LargestPart = 32 * 1024;

    public static void Write(IBufferWriter<byte> output, IMessage message) => Write(output, message, message.CalculateSize());

    /// <param name="output">Where to.</param>
    /// <param name="message">The message.</param>
    /// <param name="size">Its length.</param>
    public static void Write(IBufferWriter<byte> output, IMessage message, int size)
    {
        if (size > LargestSpan)
        {
            WriteHeader(output, size);
            message.WriteTo(output);
            return;
        }
        var span = output.GetSpan(HeaderSize + size);
        PutHeader(span, size);
        message.WriteTo(span.Slice(HeaderSize, size));
        output.Advance(HeaderSize + size);
    }

    public static void WriteHeader(IBufferWriter<byte> output, int size)
    {
        PutHeader(output.GetSpan(HeaderSize), size);
        output.Advance(HeaderSize);
    }

    private static void PutHeader(Span<byte> to, int size)
    {
        to[0] = 0;
        BinaryPrimitives.WriteUInt32BigEndian(to[1..], (uint)size);
    }

    /// <summary>The next message; null at a clean end of the stream.</summary>
    /// <param name="arrives">Called with the length of each message before more than the first part of it is accepted; null to accept any.</param>
    /// <exception cref="GrpcException">The bytes are not a message, or it is larger than <paramref name="limit"/>.</exception>
    public static async ValueTask<T?> ReadAsync<T>(PipeReader input, Func<ReadOnlySequence<byte>, T> parse, int limit, Func<int, ValueTask>? arrives,
        CancellationToken stop)
        where T : class, IMessage<T>
    {
        while (true)
        {
            var read = await input.ReadAsync(stop).ConfigureAwait(false);
            var buffer = read.Buffer;
            if (arrives is not null && LengthOf(buffer, limit) is { } length and > 0)
            {
                // What is not examined keeps its place in the window of the sender.
                var isHere = buffer.Length >= HeaderSize + length;
                if (!isHere) input.AdvanceTo(buffer.Start, buffer.GetPosition(HeaderSize));
                await arrives(length).ConfigureAwait(false);
                arrives = null;
                if (!isHere) continue;
            }
            if (TryTake(ref buffer, limit, out var body))
            {
                try
                {
                    return parse(body);
                }
                catch (InvalidProtocolBufferException e)
                {
                    throw new GrpcException(GrpcCode.InvalidArgument, $"message is not a {typeof(T).Name}: {e.Message}", e);
                }
                finally
                {
                    input.AdvanceTo(buffer.Start);
                }
            }
            if (read.IsCompleted)
            {
                var rest = buffer.Length;
                input.AdvanceTo(buffer.End);
                return rest == 0 ? null : throw new GrpcException(GrpcCode.Internal, $"stream ended inside a message ({rest} bytes of it came)");
            }
            input.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    private static bool TryTake(ref ReadOnlySequence<byte> buffer, int limit, out ReadOnlySequence<byte> body)
    {
        body = default;
        if (LengthOf(buffer, limit) is not { } length || buffer.Length < HeaderSize + length) return false;
        body = buffer.Slice(HeaderSize, length);
        buffer = buffer.Slice(HeaderSize + length);
        return true;
    }

    /// <summary>The length of the message; null while its header is not complete.</summary>
    private static int? LengthOf(in ReadOnlySequence<byte> buffer, int limit)
    {
        if (buffer.Length < HeaderSize) return null;
        Span<byte> header = stackalloc byte[HeaderSize];
        buffer.Slice(0, HeaderSize).CopyTo(header);
        if (header[0] != 0)
            throw new GrpcException(GrpcCode.Unimplemented, $"compressed messages are not supported (flag {header[0]}); use identity encoding");
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        if (length > limit)
            throw new GrpcException(GrpcCode.ResourceExhausted, $"received message of {length} bytes is larger than the limit of {limit}");
        return (int)length;
    }
}
