using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Isthmus.Options;
using Isthmus.Output;
using Isthmus.Reports;

namespace Isthmus.Commands;

/// <summary><c>isthmus proxy-config KIND POD[.NAMESPACE]</c>: what a running proxy holds.</summary>
internal static class ProxyConfigCommand
{
    internal static Command Build()
    {
        var command = new Command("proxy-config", "Show the configuration of a running proxy.")
        {
            Part("clusters", ["cluster", "c", "cds"], "Show the clusters (destinations).", Clusters,
                filters => [filters.Fqdn, filters.Port, filters.Subset, filters.Direction]),
            Part("listeners", ["listener", "l", "lds"], "Show the listeners and their destinations.", Listeners, filters => [filters.Address, filters.Port]),
            Part("routes", ["route", "r", "rds"], "Show the HTTP routes.", Routes, filters => [filters.Name]),
            Endpoints(),
            Part("secrets", ["secret", "s"], "Show the certificates and trusted roots, never keys.", Secrets, _ => []),
            ProxyConfigBootstrap.Bootstrap(),
            ProxyConfigBootstrap.Ecds(),
            ProxyConfigLog.Build(),
            EnvoyStatsCommand.Build(),
            All(),
            RootCaCompare(),
        };
        command.Aliases.Add("pc");
        foreach (var instead in InsteadCommands.OfProxyConfig) command.Subcommands.Add(instead);
        return command;
    }

    private sealed record Filters(Option<string?> Fqdn, Option<int?> Port, Option<string?> Subset, Option<string?> Direction, Option<string?> Name,
        Option<string?> Address, Option<string?> Cluster, Option<string?> Status)
    {
        internal Option[] All => [Fqdn, Port, Subset, Direction, Name, Address, Cluster, Status];

        /// <param name="used">The filters that apply to the command.</param>
        internal static Filters Make(Command command, Func<Filters, Option[]> used)
        {
            var filters = new Filters(
                new("--fqdn") { Description = "Filter by the host name of the service" }, new("--port") { Description = "Filter by port" },
                new("--subset") { Description = "Filter by subset" },
                new Option<string?>("--direction") { Description = "Filter by direction: inbound or outbound" }.OneOf(StringComparer.OrdinalIgnoreCase,
                    "is not a direction", "use inbound or outbound", "inbound", "outbound"),
                new("--name") { Description = "Filter by the name of the route" },
                new("--address") { Description = "Filter by address" }, new("--cluster") { Description = "Filter by the name of the cluster" },
                new("--status") { Description = "Filter by status, for example healthy" });
            foreach (var option in used(filters)) command.Options.Add(option);
            return filters;
        }
    }

    private static Command Part(string name, string[] aliases, string description, Action<Filters, JsonNode, OutputOption, ParseResult> show,
        Func<Filters, Option[]> used)
    {
        var (source, output) = (new DumpSource("config_dump"), new OutputOption());
        var command = new Command(name, description) { output.Option };
        source.AddTo(command);
        foreach (var alias in aliases) command.Aliases.Add(alias);
        var filters = Filters.Make(command, used);
        command.SetAction(async (line, stop) =>
        {
            show(filters, await source.ReadAsync(line, stop), output, line);
            return 0;
        });
        return command;
    }

    /// <summary>A context of the kubeconfig before the first slash names another cluster.</summary>
    private static (string? Context, string Reference) Elsewhere(ParseResult line, string reference)
    {
        var slash = reference.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 && MeshContexts.All(line).Contains(reference[..slash]) ? (reference[..slash], reference[(slash + 1)..]) : (null, reference);
    }

    private static async Task<JsonNode> DumpAsync(ParseResult line, string reference, string path, CancellationToken stop, string? context = null)
    {
        using var client = new KubeClient(MeshContexts.Load(line, context ?? line.GetValue(GlobalOptions.Context)), "isthmus");
        var query = new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!);
        var (ns, pod) = await query.ResolvePodAsync(reference, line.GetValue(GlobalOptions.Namespace), stop);
        return await query.AskProxyAsync(ns, pod, path, stop);
    }

    private static void Clusters(Filters filters, JsonNode dump, OutputOption output, ParseResult line)
    {
        var chosen = new ConfigDump(dump).Clusters.Where(cluster =>
        {
            var (direction, port, subset, host) = ProxyTables.Split(cluster["name"]?.ToString() ?? "");
            return Wanted(line, filters.Fqdn, host) && Wanted(line, filters.Subset, subset) && Wanted(line, filters.Direction, direction)
                && (line.GetValue(filters.Port) is not { } wanted || port == wanted.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }).ToList();
        Show(output, line, chosen, () => ProxyTables.Clusters(chosen));
    }

    private static void Listeners(Filters filters, JsonNode dump, OutputOption output, ParseResult line)
    {
        var chosen = new ConfigDump(dump).Listeners.Where(listener =>
            Wanted(line, filters.Address, ConfigDump.At(listener, "address", "socket_address", "address")?.ToString() ?? "")
            && (line.GetValue(filters.Port) is not { } port || (int?)ConfigDump.At(listener, "address", "socket_address", "port_value") == port)).ToList();
        Show(output, line, chosen, () => ProxyTables.Listeners(chosen));
    }

    private static void Routes(Filters filters, JsonNode dump, OutputOption output, ParseResult line)
    {
        var chosen = new ConfigDump(dump).Routes.Where(route => Wanted(line, filters.Name, route["name"]?.ToString() ?? "")).ToList();
        Show(output, line, chosen, () => ProxyTables.Routes(chosen));
    }

    private static void Secrets(Filters filters, JsonNode dump, OutputOption output, ParseResult line)
    {
        var parsed = new ConfigDump(dump);
        Show(output, line, [.. parsed.Secrets.Select(secret => secret.Secret)], () => ProxyTables.Secrets(parsed, TimeProvider.System.GetUtcNow()));
    }

    private static Command All()
    {
        var (source, output) = (new DumpSource("config_dump?include_eds"), new OutputOption());
        var command = new Command("all",
            "Show all of these tables; with -o json or yaml, the whole configuration dump. A file has no table of endpoints: give it to 'proxy-config "
                + "endpoints'.")
            {
                output.Option
            };
        source.AddTo(command);
        var filters = Filters.Make(command, filters => filters.All);
        command.SetAction(async (line, stop) =>
        {
            var dump = await source.ReadAsync(line, stop);
            if (!output.IsTable(line))
            {
                output.Write(line, () => dump, () => { });
                return 0;
            }
            foreach (var show in (Action<Filters, JsonNode, OutputOption, ParseResult>[])[Clusters, Listeners, Routes])
            {
                show(filters, dump, output, line);
                Console.WriteLine();
            }
            if (line.GetValue(source.File) is null)
            {
                using var client = GlobalOptions.Client(line);
                var query = new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!);
                var (ns, name) = await query.ResolvePodAsync(line.GetValue(source.Pod)!, line.GetValue(GlobalOptions.Namespace), stop);
                await ShowEndpointsAsync(query, ns, name, filters, output, line, stop);
                Console.WriteLine();
            }
            Secrets(filters, dump, output, line);
            return 0;
        });
        return command;
    }

    private static Command Endpoints()
    {
        var (source, output) = (new DumpSource("clusters?format=json"), new OutputOption());
        var command = new Command("endpoints", "Show the endpoints of each cluster, with their health as seen by this proxy.") { output.Option };
        source.AddTo(command);
        foreach (var alias in (string[])["endpoint", "ep"]) command.Aliases.Add(alias);
        var filters = Filters.Make(command, filters => [filters.Fqdn, filters.Port, filters.Address, filters.Cluster, filters.Status]);
        command.SetAction(async (line, stop) =>
        {
            if (source.FromFile(line) is { } read)
            {
                ShowEndpoints(read, null, filters, output, line);
                return 0;
            }
            using var client = GlobalOptions.Client(line);
            var query = new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!);
            var (ns, name) = await query.ResolvePodAsync(line.GetValue(source.Pod)!, line.GetValue(GlobalOptions.Namespace), stop);
            await ShowEndpointsAsync(query, ns, name, filters, output, line, stop);
            return 0;
        });
        return command;
    }

    private static async Task ShowEndpointsAsync(MeshQuery query, string ns, string name, Filters filters, OutputOption output, ParseResult line,
        CancellationToken stop) =>
        ShowEndpoints(await query.AskProxyAsync(ns, name, "clusters?format=json", stop), await query.AskSourcesAsync($"{name}.{ns}", stop), filters, output,
            line);

    /// <param name="known">Where the control plane has the addresses from; null when nobody says.</param>
    private static void ShowEndpoints(JsonNode clusters, SourcesReport? known, Filters filters, OutputOption output, ParseResult line)
    {
        var sources = new EndpointSources(known, TimeProvider.System.GetUtcNow());
        var (header, rows) = ProxyTables.Endpoints(clusters, sources, cluster =>
            Wanted(line, filters.Cluster, cluster) && (line.GetValue(filters.Fqdn) is null || Wanted(line, filters.Fqdn, ProxyTables.Split(cluster).Host)));
        rows = [.. rows.Where(row => Wanted(line, filters.Address, row[0].Split(':')[0])
            && (line.GetValue(filters.Port) is not { } port || row[0].EndsWith($":{port}", StringComparison.Ordinal))
            && (line.GetValue(filters.Status) is not { } status || string.Equals(row[1], status, StringComparison.OrdinalIgnoreCase)))];
        var names = rows.Select(row => row[3]).ToHashSet(StringComparer.Ordinal);
        output.Write(line,
            () => new JsonArray([.. (ConfigDump.At(clusters, "cluster_statuses") as JsonArray ?? [])
                .Where(cluster => names.Contains(cluster?["name"]?.ToString() ?? "")).Select(cluster => ProxyTables.WithSources(cluster!, sources))]),
            () => TextTable.Write(header, rows));
    }

    private static Command RootCaCompare()
    {
        const string where = "POD[.NAMESPACE] or deployment/NAME[.NAMESPACE]; in another cluster, CONTEXT/POD.NAMESPACE";
        var (one, other) = (new Argument<string>("pod1") { Description = where }.WithPods(), new Argument<string>("pod2") { Description = where }.WithPods());
        var command = new Command("rootca-compare", "Compare the root certificates of two Pods.") { one, other };
        command.SetAction(async (line, stop) =>
        {
            var roots = new List<(string Pod, string? Root)>();
            foreach (var pod in (string[])[line.GetValue(one)!, line.GetValue(other)!])
            {
                var (context, reference) = Elsewhere(line, pod);
                var dump = new ConfigDump(await DumpAsync(line, reference, ConfigDump.SecretsPath, stop, context));
                var root = dump.Secrets.Select(entry => entry.Secret).FirstOrDefault(secret => secret["name"]?.ToString() == "ROOTCA");
                roots.Add((pod, ConfigDump.At(root, "validation_context", "trusted_ca", "inline_bytes")?.ToString()));
            }
            foreach (var (pod, root) in roots)
            {
                if (root is null) throw new ProblemException($"Pod {pod}", "has no ROOTCA yet", "check that its proxy is ready");
            }
            if (roots[0].Root == roots[1].Root)
            {
                Console.WriteLine(
                    $"Both [{roots[0].Pod}] and [{roots[1].Pod}] have the identical ROOTCA, theoretically the connectivity between them is available");
                return 0;
            }
            foreach (var (pod, root) in roots)
                Console.WriteLine(
                    $"{pod}: {ProxyTables.Certificate(root)?.Subject}, SHA-256 "
                        + $"{ProxyTables.Certificate(root)?.GetCertHashString(System.Security.Cryptography.HashAlgorithmName.SHA256)}");
            throw new ProblemException($"{roots[0].Pod} and {roots[1].Pod}", "have different roots, so mutual TLS between them fails",
                "give both clusters a 'cacerts' Secret of one root, restart their control planes, then their workloads");
        });
        return command;
    }

    private static bool Wanted(ParseResult line, Option<string?> option, string value) =>
        line.GetValue(option) is not { } wanted || string.Equals(wanted, value, StringComparison.OrdinalIgnoreCase);

    private static void Show(OutputOption output, ParseResult line, IReadOnlyList<JsonObject> chosen,
        Func<(string[] Header, IReadOnlyList<string[]> Rows)> table) =>
        output.Write(line, () => new JsonArray([.. chosen.Select(item => item.DeepClone())]), () =>
        {
            var (header, rows) = table();
            TextTable.Write(header, rows);
        });
}
