using Isthmus.Core.Problems;
using Isthmus.Samples.Echo;
using Isthmus.Samples.HttpBin;

namespace Isthmus.Samples;

/// <summary>The programs behind the sample images: <c>isthmus sample NAME …</c>.</summary>
public static class SampleProgram
{
    private const string Usage = "helloworld, httpbin, tcp-echo, ext-authz, echo-basic, echo-advanced, echo-client, nslookup or sleep";

    /// <returns>The exit code of the sample; 2 for a wrong command line.</returns>
    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        try
        {
            return await DispatchAsync(args, stop).ConfigureAwait(false);
        }
        catch (ProblemException problem)
        {
            await Console.Error.WriteLineAsync(problem.Message).ConfigureAwait(false);
            return 2;
        }
    }

    private static Task<int> DispatchAsync(string[] args, CancellationToken stop) => args switch
    {
        ["helloworld", .. var rest] => HelloWorldProgram.RunAsync(rest, stop),
        ["httpbin", .. var rest] => HttpBinProgram.RunAsync(rest, stop),
        ["tcp-echo", .. var rest] => TcpEchoProgram.RunAsync(rest, stop),
        ["ext-authz", .. var rest] => ExtAuthzProgram.RunAsync(rest, stop),
        ["echo-basic", ..] => EchoBasicProgram.RunAsync(stop),
        ["echo-advanced", .. var rest] => EchoAdvancedProgram.RunAsync(rest, stop),
        ["echo-client", .. var rest] => EchoClientProgram.RunAsync(rest, stop),
        ["nslookup", .. var rest] => NslookupProgram.RunAsync(rest, stop),
        ["sleep", .. var rest] => SleepProgram.RunAsync(rest, stop),
        [var name, ..] => throw new ProblemException("sample", $"unknown sample '{name}'", $"expected {Usage}"),
        [] => throw new ProblemException("sample", "the name of the sample is missing", $"expected {Usage}"),
    };
}
