using System.Text;
using Microsoft.AspNetCore.Connections;

namespace Isthmus.Lab.ApiServer.Hosting;

/// <summary>Answers HTTP on the port for HTTPS in the words of Go's server, which people search for.</summary>
internal static class PlainHttp
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10); // as Kestrel's for the handshake that follows
    private static readonly byte[] _refusal = Encoding.ASCII.GetBytes("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");

    /// <summary>Stands before TLS.</summary>
    internal static ConnectionDelegate Refuse(ConnectionDelegate next) => async connection =>
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(connection.ConnectionClosed);
        patience.CancelAfter(_patience);
        bool plain;
        try
        {
            var read = await connection.Transport.Input.ReadAsync(patience.Token);
            // A method of HTTP begins with a letter, a TLS record with a number below 32.
            plain = !read.Buffer.IsEmpty && char.IsAsciiLetter((char)read.Buffer.FirstSpan[0]);
            connection.Transport.Input.AdvanceTo(read.Buffer.Start);
        }
        catch (OperationCanceledException)
        {
            connection.Abort();
            return;
        }
        if (plain) await connection.Transport.Output.WriteAsync(_refusal, connection.ConnectionClosed);
        else await next(connection);
    };
}
