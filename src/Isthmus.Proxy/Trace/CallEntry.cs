using System.Net;
using System.Net.Sockets;
using Isthmus.Reports;

namespace Isthmus.Proxy.Trace;

/// <summary>Where a traced call enters a data plane: as the kernel would hand over a connection that it redirected. Programs in this Pod can do the same by
/// connecting, so it grants no new access.</summary>
internal interface ICallEntry
{
    /// <returns>The application's end of the connection.</returns>
    /// <param name="limit">Ends the wait for the connection.</param>
    /// <param name="stop">Ends the connection.</param>
    /// <exception cref="IOException">The data plane takes no call, and why.</exception>
    ValueTask<EnteredCall> EnterAsync(CallRequest call, CancellationToken limit, CancellationToken stop);
}

/// <summary>A call on its way through a data plane.</summary>
/// <param name="Client">The application's end.</param>
/// <param name="SeenAsync">What the data plane saw of the call, whose answer is already in the report; null for nothing.</param>
internal sealed record EnteredCall(Socket Client, Func<CallReport, CancellationToken, Task<SeenReport?>> SeenAsync);

/// <summary>The Pod's address, from the id of its node.</summary>
internal static class OwnAddress
{
    public static IPAddress? Of(string nodeId) =>
        nodeId.Split('~') is [_, var address, ..] && IPAddress.TryParse(address, out var own) ? own : null;
}
