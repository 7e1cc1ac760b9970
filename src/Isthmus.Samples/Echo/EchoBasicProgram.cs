namespace Isthmus.Samples.Echo;

/// <summary>
/// The server that the Gateway API's conformance suite calls (echo-basic): it tells what arrived. Variables of the environment choose what it is: HTTP
/// (<c>HTTP_PORT</c>, <c>H2C_PORT</c>, <c>HTTPS_PORT</c>), or with <c>GRPC_ECHO_SERVER</c>, <c>TCP_ECHO_SERVER</c> or <c>UDP_ECHO_SERVER</c> something else.
/// </summary>
public static class EchoBasicProgram
{
    internal const string Name = "echo-basic";

    internal static async Task<int> RunAsync(CancellationToken stop)
    {
        await RunAsync(Environment.GetEnvironmentVariable, stop).ConfigureAwait(false);
        return 0;
    }

    /// <exception cref="Core.Problems.ProblemException">The environment has invalid values, or a port is in use.</exception>
    public static Task RunAsync(Func<string, string?> environment, CancellationToken stop)
    {
        var context = EchoContext.Read(environment);
        if (environment("GRPC_ECHO_SERVER") is { Length: > 0 }) return EchoGrpc.RunAsync(environment, context, stop);
        if (environment("TCP_ECHO_SERVER") is { Length: > 0 }) return EchoTcp.RunAsync(environment, context, stop);
        if (environment("UDP_ECHO_SERVER") is { Length: > 0 }) return EchoUdp.RunAsync(EchoContext.Port(environment, "UDP_PORT", 8080), context, stop);
        return EchoHttp.RunAsync(environment, context, stop);
    }
}
