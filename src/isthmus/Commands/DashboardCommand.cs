using System.CommandLine;
using System.Net;
using Isthmus.Core.Flags;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus dashboard</c>: forwards a port to a web page in the cluster, until Ctrl-C.</summary>
internal static class DashboardCommand
{
    /// <summary>Pages of other programs: their Services, as their usual manifests name them, the port, and what to use without them.</summary>
    private static readonly (string Name, string[] Services, int? Port, string Instead)[] Others =
    [
        ("prometheus", ["prometheus"], 9090, "samples/addons/prometheus.yaml, which installs one"),
        ("grafana", ["grafana"], 3000, "the dashboards of samples/addons in a Grafana of yours"),
        ("kiali", ["kiali"], 20001, "'isthmus console', which shows the same"),
        ("jaeger", ["tracing", "jaeger-query", "jaeger"], null, "a collector that extensionProviders names"),
        ("zipkin", ["zipkin"], 9411, "a collector that extensionProviders names"),
        ("skywalking", ["skywalking-ui"], null, "a collector that extensionProviders names"),
    ];

    internal static Command Build()
    {
        var shared = new Shared();
        var command = new Command("dashboard",
            "Forward a port to a web page in the cluster, and open it in a browser, until you press Ctrl-C.") { shared.Port, shared.Address, shared.Browser };
        command.Aliases.Add("dash");
        command.Aliases.Add("d");
        command.Subcommands.Add(shared.Page("console", "The console in the cluster (Deployment isthmus-console). Without one, use 'isthmus console'.",
            (_, pages, stop) => pages.ConsoleAsync(stop)));
        var proxy = new Argument<string>("pod") { Description = "The Pod, as NAME[.NAMESPACE] or deployment/NAME[.NAMESPACE]" }.WithPods();
        var envoy = shared.Page("envoy", "The admin interface of a proxy.",
            (line, pages, stop) => pages.ProxyAsync(line.GetValue(proxy)!, line.GetValue(GlobalOptions.Namespace), stop));
        envoy.Aliases.Add("proxy");
        envoy.Arguments.Add(proxy);
        command.Subcommands.Add(envoy);
        var plane = new Argument<string?>("pod") { Description = "The control plane's Pod; by default, one that is ready", Arity = ArgumentArity.ZeroOrOne };
        var number = new Option<int>("--ctrlz_port") { Description = "The port of ControlZ", DefaultValueFactory = _ => Ports.ControlZ };
        var control = shared.Page("controlz", "The log levels of a control plane, as JSON. 'isthmus admin log' shows and changes them.",
            (line, pages, stop) => pages.ControlZAsync(line.GetValue(plane), line.GetValue(number), stop));
        control.Arguments.Add(plane);
        control.Options.Add(number);
        command.Subcommands.Add(control);
        var debugged = new Argument<string?>("pod") { Description = "The control plane's Pod; by default, one that is ready", Arity = ArgumentArity.ZeroOrOne };
        var debug = shared.Page("istiod-debug", "The debug pages of a control plane. 'isthmus experimental internal-debug' shows one of them.",
            (line, pages, stop) => pages.DebugAsync(line.GetValue(debugged), stop));
        debug.Arguments.Add(debugged);
        command.Subcommands.Add(debug);
        foreach (var (name, services, port, instead) in Others)
        {
            command.Subcommands.Add(shared.Page(name,
                $"The page of {char.ToUpperInvariant(name[0])}{name[1..]}, if a Service {string.Join(" or ", services)} exists.",
                (line, pages, stop) => pages.ServiceAsync(line.GetValue(GlobalOptions.Namespace) ?? line.GetValue(GlobalOptions.IstioNamespace)!, services,
                    port, instead, stop)));
        }
        return command;
    }

    /// <summary>What all pages have.</summary>
    private sealed class Shared
    {
        internal Option<int?> Port
        {
            get;
        } = new("--port", "-p") { Description = "Local port; 0 chooses a free one. By default, that of the page if it is free", Recursive = true };

        internal Option<string> Address
        {
            get;
        } = new("--address")
        {
            Description = "Local address to listen on. Whoever reaches it uses the page with your rights", DefaultValueFactory = _ => "localhost",
            Recursive = true
        };

        internal Option<bool> Browser
        {
            get;
        } = new("--browser") { Description = "Open the page in a browser", DefaultValueFactory = _ => true, Recursive = true };

        internal Command Page(string name, string description, Func<ParseResult, WebPages, CancellationToken, Task<WebPage>> find)
        {
            var command = new Command(name, description);
            command.SetAction(async (line, stop) =>
            {
                var address = AddressOf(line.GetValue(Address)!);
                if (line.GetValue(Port) is < 0 or > 65535)
                    throw new WrongUseException($"--port {line.GetValue(Port)}", "is not a port number", "use a number from 0 to 65535");
                using var client = GlobalOptions.Client(line);
                var page = await find(line, new WebPages(client, line.GetValue(GlobalOptions.IstioNamespace)!), stop);
                using var forward = Forward(client.Access, page, address, line.GetValue(Port));
                var host = IPAddress.IsLoopback(address) ? "localhost"
                    : address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? $"[{address}]" : $"{address}";
                var url = new Uri($"http://{host}:{forward.Address.Port}{page.Path}");
                Console.WriteLine($"{url}\nforwards to port {page.Port} of Pod {page.Namespace}/{page.Pod}. To stop it, press Ctrl-C.");
                if (line.GetValue(Browser)) WebConsole.ConsoleProgram.Open(url);
                await forward.RunAsync(stop);
                return ExitCode.Success;
            });
            return command;
        }

        private static IPAddress AddressOf(string text) => text == "localhost" ? IPAddress.Loopback
            : IPAddress.TryParse(text, out var address)
            ? address
            : throw new WrongUseException($"--address {text}", "is not an IP address", "use localhost, or an address of this machine");

        /// <summary>The page's own port is the one that users know; another program may have it.</summary>
        private static PodForward Forward(ClusterAccess access, WebPage page, IPAddress address, int? port)
        {
            PodForward At(int number) =>
                new(access, page.Namespace, page.Pod, page.Port, new(address, number), reason => Console.Error.WriteLine($"a connection failed: {reason}"));
            if (port is { } given) return At(given);
            try { return At(page.Port); }
            catch (Core.Problems.ProblemException) { return At(0); }
        }
    }
}
