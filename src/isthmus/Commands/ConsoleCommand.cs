using System.CommandLine;
using Isthmus.Core.Flags;
using Isthmus.Options;
using Isthmus.WebConsole.Traffic;

namespace Isthmus.Commands;

/// <summary><c>isthmus console</c>: the mesh as a web page on the loopback.</summary>
internal static class ConsoleCommand
{
    internal static Command Build()
    {
        var contexts = new MeshContexts();
        var port = new Option<int>("--port", "-p") { Description = "Port of the page on 127.0.0.1; 0 chooses a free one" };
        var browser = new Option<bool>("--browser") { Description = "Open the page in a browser", DefaultValueFactory = _ => true };
        var prometheus = new Option<string>("--prometheus")
        {
            Description =
                "Where traffic is read: the URL of a Prometheus, its Service as NAMESPACE/NAME[:PORT], or 'none' for the proxies. By default: Service "
                    + "prometheus beside the control plane, if there is one",
            HelpName = "WHERE"
        };
        var command = new Command("console",
            "Show the mesh as a web page, until you press Ctrl-C. Changes nothing; uses the rights of your kubeconfig.")
            {
                contexts.Option, port, browser, prometheus
            };
        command.SetAction(async (line, stop) =>
        {
            if (line.GetValue(port) is var number and (< 0 or > 65535))
                throw new WrongUseException($"--port {number}", "is not a port number", "use a number from 0 to 65535");
            var names = line.GetValue(GlobalOptions.Context) is { } one && line.GetResult(contexts.Option) is null ? [one] : contexts.Names(line);
            var settings = new WebConsole.ConsoleSettings([.. names.Select(name => MeshContexts.Load(line, name))],
                line.GetValue(GlobalOptions.IstioNamespace)!, line.GetValue(port), line.GetValue(browser))
            {
                Prometheus = PrometheusChoice.Read("--prometheus", line.GetValue(prometheus) ?? ""),
            };
            await WebConsole.ConsoleProgram.RunAsync(settings, TimeProvider.System,
                address => Console.WriteLine(
                    $"The console of {string.Join(", ", names)} is at\n  {address}\nThe address opens it once, for you. To stop it, press Ctrl-C."),
                stop);
            return 0;
        });
        return command;
    }
}
