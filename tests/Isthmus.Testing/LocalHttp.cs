using System.Net;
using System.Net.Sockets;

namespace Isthmus.Testing;

/// <summary>HTTP servers on free ports.</summary>
public static class LocalHttp
{
    /// <summary>A server that listens, with its address. End it with Close: after Stop, it would listen once more to be disposed of.</summary>
    public static HttpListener Start(out Uri address)
    {
        // HttpListener takes no port 0, so the port is free only until another test gets it.
        for (var attempt = 1; ; attempt++)
        {
            address = new($"http://127.0.0.1:{FreePort()}/");
            var listener = new HttpListener { Prefixes = { address.ToString() } };
            try
            {
                listener.Start();
                return listener;
            }
            catch (HttpListenerException) when (attempt < 20)
            {
                listener.Abort();
            }
        }
    }

    private static int FreePort()
    {
        using var socket = new TcpListener(IPAddress.Loopback, 0);
        socket.Start();
        return ((IPEndPoint)socket.LocalEndpoint).Port;
    }
}
