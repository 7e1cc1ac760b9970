using System.Runtime.InteropServices;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Programs;

// The roles of a sidecar, with the arguments that isthmus has for them.
using var stop = new CancellationTokenSource();
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);
try
{
    return args switch
    {
        ["proxy", ..] => await ProxyProgram.RunAsync(args[1..], stop.Token),
        ["wait", ..] => await WaitProgram.RunAsync(args[1..], stop.Token),
        ["istio-iptables", ..] => await CaptureProgram.RunAsync(args[1..], stop.Token),
        _ => throw new ProblemException("isthmus-proxy", "this native program has only the roles proxy, wait and istio-iptables", "use isthmus for everything else"),
    };
}
catch (ProblemException e)
{
    await Console.Error.WriteLineAsync($"Error: {e.Message}");
    return 1;
}

void Cancel(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
