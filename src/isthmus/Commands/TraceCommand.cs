using System.CommandLine;
using System.Globalization;
using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Client;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus trace POD[.NAMESPACE] HOST[:PORT][/PATH]</c>: the path of a call, hop by hop, and where it fails.</summary>
internal static class TraceCommand
{
    internal static Command Build()
    {
        var pod = new Argument<string>("pod")
        {
            Description =
                "The caller: POD[.NAMESPACE], deployment/NAME[.NAMESPACE] or service/NAME[.NAMESPACE], in the cluster of --context; "
                    + "gateway/NAME[.NAMESPACE] of a Service or a Gateway for a call from outside that enters there"
        }.WithPods();
        var target = new Argument<string>("target")
        {
            Description = "What it calls: [http://|https://|ws://|wss://|grpc://|tcp://]HOST[:PORT][/PATH], as the application would write it; "
                + "without a port, http:// and ws:// mean 80, and https:// and wss:// 443"
        };
        var contexts = new MeshContexts();
        var snapshot = new SnapshotOption();
        var output = new OutputOption();
        var color = new ColorOption("the marks of hops");
        var noCall = new Option<bool>("--no-call") { Description = "Only evaluate the configuration; do not make the call" };
        var calls = new Option<int>("--calls")
        {
            Description = $"How many calls to make, up to {TraceRequest.MostCalls}: the answers are counted, the worst is explained; default: 1, and 5 more "
                + "after an error with which an application answers GET or HEAD",
            DefaultValueFactory = _ => 0,
            HelpName = "number",
        }.Checked(value =>
        {
            if (!int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number is < 1 or > TraceRequest.MostCalls)
                throw new WrongUseException("--calls", $"'{value}' is not a number of calls", $"give a number from 1 to {TraceRequest.MostCalls}");
        });
        var method = new Option<string>("--method", "-X") { Description = "HTTP method; default: GET, or POST with --data", DefaultValueFactory = _ => "" };
        var headers = new Option<string[]>("--header",
            "-H") { Description = "Header to send, as 'NAME: VALUE'; may be repeated", DefaultValueFactory = _ => [] };
        var data = new Option<string>("--data", "-d") { Description = "Body to send; bytes, for tcp://", DefaultValueFactory = _ => "" };
        var token = new Option<string>("--jwt") { Description = "JSON Web Token to send as bearer token", DefaultValueFactory = _ => "" };
        var timeout = new DurationOption("--timeout", "Timeout of the call, for example 5s; at most 5m", "5s", TraceRequest.LongestCall);
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Show details for every hop, not only for those that fail" };
        var command = new Command("trace",
            "Follow a call hop by hop through the live configuration of all proxies on its way, make the call, and report the first failure.")
        {
            pod, target, contexts.Option, method, headers, data, token, noCall, calls, timeout.Option, verbose, color.Option, snapshot.Option, output.Option,
        };
        command.SetAction(async (line, stop) =>
        {
            var request = new TraceRequest(line.GetValue(pod)!, line.GetValue(GlobalOptions.Namespace), TraceTarget.Parse(line.GetValue(target)!),
                !line.GetValue(noCall), timeout.Of(line))
            {
                Calls = line.GetValue(calls),
                Sent = SentRequest.Parse(line.GetValue(method)!, line.GetValue(headers)!, line.GetValue(data)!, line.GetValue(token)!),
            };
            request.Sent.CheckFor(request.Target);
            if (request.Calls > 0 && (!request.MakeCall || request.IsEntry))
                throw new WrongUseException("--calls",
                    $"does not go with {(request.MakeCall ? "gateway/NAME, since only clients outside make such a call" : "--no-call")}", "remove one of them");
            var source = snapshot.Open(line);
            var home = source.Load(line.GetValue(GlobalOptions.Context));
            List<ClusterAccess> clusters = [home, .. source.Names(contexts).Where(name => name != home.Name).Select(source.Load)];
            using var run = new TraceRun(clusters, source.IstioNamespace, source.Time, new Random());
            var trace = await run.RunAsync(request, stop);
            output.Write(line, () => TraceText.Tree(trace), () =>
            {
                var text = Visible.Lines(TraceText.Write(trace, line.GetValue(verbose)));
                Terminal.Painted.Write(color.Of(line) ? Paint.Marks(text) : text);
            });
            return trace.Succeeds ? 0 : 1;
        });
        return command;
    }
}
