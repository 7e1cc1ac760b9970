using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus describe pod|service NAME</c>: the objects that affect a Pod or a Service.</summary>
internal static class DescribeCommand
{
    private const string Line = "--------------------";

    internal static Command Build()
    {
        var command = new Command("describe", "List the objects that affect a Pod or a Service, in one cluster. What becomes of a call between clusters: 'isthmus trace'.") { OfPod(), OfService() };
        command.Aliases.Add("des");
        return command;
    }

    private static Command OfPod()
    {
        var (pod, output) = (new Argument<string>("pod") { Description = "POD[.NAMESPACE] or deployment/NAME[.NAMESPACE]" }, new OutputOption());
        var unmeshed = new Option<bool>("--ignoreUnmeshed") { Description = "Do not warn that a Pod has no sidecar" };
        var command = new Command("pod", "Describe a Pod: its Services, their DestinationRules and VirtualServices, and its policies.") { pod, unmeshed, output.Option };
        command.Aliases.Add("po");
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var (ns, name) = await new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!).ResolvePodAsync(line.GetValue(pod)!, line.GetValue(GlobalOptions.Namespace), stop);
            var found = WorkloadDescription.Of(await ReadAsync(line, client, stop), ns, name);
            output.Write(line, () => Tree(found), () => Show(found, line.GetValue(unmeshed)));
            return ExitCode.Success;
        });
        return command;
    }

    private static Command OfService()
    {
        var (service, output) = (new Argument<string>("service") { Description = "SERVICE[.NAMESPACE]" }, new OutputOption());
        var command = new Command("service", "Describe a Service: its DestinationRules and VirtualServices.") { service, output.Option };
        command.Aliases.Add("svc");
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var (name, ns) = line.GetValue(service)!.Split('.', 2) is [var before, var after] ? (before, after) : (line.GetValue(service)!, line.GetValue(GlobalOptions.Namespace) ?? client.Access.Namespace);
            var cluster = await ReadAsync(line, client, stop);
            var found = WorkloadDescription.Describe(cluster, cluster.Service(ns, name)
                ?? throw new ProblemException($"Service {ns}/{name} in {cluster.Context}", "does not exist", "name it as SERVICE.NAMESPACE"), null);
            output.Write(line, () => Tree(found), () => Show(found));
            return ExitCode.Success;
        });
        return command;
    }

    private static async Task<ClusterInventory> ReadAsync(ParseResult line, KubeClient client, CancellationToken stop)
    {
        var cluster = await new InventoryReader(line.GetValue(GlobalOptions.IstioNamespace)!, proxies: 0).ReadAsync(client.Access.Name, client.Access, stop);
        return cluster.Error.Length == 0 ? cluster : throw new ProblemException($"cluster {client.Access.Name}", cluster.Error);
    }

    private static void Show(WorkloadDescription found, bool ignoresUnmeshed)
    {
        Console.WriteLine($"Pod: {found.Pod.Metadata.Name}");
        if (found.Pod.Metadata.Labels.GetValueOrDefault("istio.io/rev") is { } revision) Console.WriteLine($"   Pod Revision: {revision}");
        var ports = found.Pod.Spec.Containers.SelectMany(container => container.Ports.Select(port => $"{port.Number} ({container.Name})")).ToList();
        Console.WriteLine($"   Pod Ports: {(ports.Count > 0 ? string.Join(", ", ports) : "none declared")}");
        if (!found.HasProxy && !ignoresUnmeshed) Console.WriteLine($"WARNING: {found.Pod.Metadata.Name} is not part of mesh; no Istio sidecar");
        if (found.Services.Count == 0) Console.WriteLine($"{Line}\nNo Service selects it");
        foreach (var service in found.Services)
        {
            Console.WriteLine(Line);
            Show(service);
        }
        if (!found.HasProxy) return;
        Console.WriteLine($"{Line}\nEffective PeerAuthentication:\n   Workload mTLS mode: {found.Mode}");
        if (found.ModeOf.Count > 0) Console.WriteLine($"Applied PeerAuthentication:\n   {string.Join(", ", found.ModeOf)}");
        if (found.Policies.Count > 0) Console.WriteLine($"AuthorizationPolicies:\n   {string.Join(", ", found.Policies)}");
    }

    private static void Show(DescribedService service)
    {
        Console.WriteLine($"Service: {service.Name}");
        foreach (var port in service.Ports) Console.WriteLine($"   Port: {port}");
        foreach (var rule in service.Rules)
        {
            Console.WriteLine($"DestinationRule: {rule.Name} for \"{rule.Host}\"");
            if (rule.Matching.Count > 0) Console.WriteLine($"   Matching subsets: {string.Join(", ", rule.Matching)}");
            if (rule.Others.Count > 0) Console.WriteLine($"   {(rule.Matching.Count > 0 ? "Non-matching subsets" : "Subsets")}: {string.Join(", ", rule.Others)}");
            Console.WriteLine(rule.Settings.Count > 0 ? $"   Traffic Policy: {string.Join(", ", rule.Settings)}" : "   No Traffic Policy");
        }
        foreach (var routes in service.Routes)
        {
            Console.WriteLine($"VirtualService: {routes.Name}");
            var counts = ((int Count, string Kind)[])[(routes.Http, "HTTP"), (routes.Tls, "TLS"), (routes.Tcp, "TCP")];
            Console.WriteLine($"   {string.Join(", ", counts.Where(one => one.Count > 0).Select(one => $"{one.Count} {one.Kind} route(s)"))}, for {string.Join(", ", routes.Gateways)}");
        }
    }

    private static JsonObject Tree(WorkloadDescription found) => new()
    {
        ["pod"] = found.Pod.Key.ToString(), ["proxy"] = found.HasProxy, ["services"] = new JsonArray([.. found.Services.Select(service => (JsonNode)Tree(service))]),
        ["mtlsMode"] = found.Mode, ["peerAuthentications"] = Texts(found.ModeOf), ["authorizationPolicies"] = Texts(found.Policies),
    };

    private static JsonObject Tree(DescribedService service) => new()
    {
        ["service"] = service.Name, ["ports"] = Texts(service.Ports),
        ["destinationRules"] = new JsonArray([.. service.Rules.Select(rule => (JsonNode)new JsonObject
        {
            ["name"] = rule.Name, ["host"] = rule.Host, ["matchingSubsets"] = Texts(rule.Matching), ["otherSubsets"] = Texts(rule.Others), ["trafficPolicy"] = Texts(rule.Settings),
        })]),
        ["virtualServices"] = new JsonArray([.. service.Routes.Select(routes => (JsonNode)new JsonObject
        {
            ["name"] = routes.Name, ["http"] = routes.Http, ["tls"] = routes.Tls, ["tcp"] = routes.Tcp, ["gateways"] = Texts(routes.Gateways),
        })]),
    };

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)JsonValue.Create(text)!)]);
}
