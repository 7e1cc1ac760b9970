using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Isthmus.Options;

namespace Isthmus.Commands;

/// <summary><c>isthmus describe pod|service|gateway NAME</c>: the objects that affect a Pod, a Service or a Gateway, in all clusters.</summary>
internal static class DescribeCommand
{
    private const string Line = "--------------------";

    internal static Command Build()
    {
        var command = new Command("describe",
            "List the objects that affect a Pod, a Service or a Gateway, in its own cluster and in the others of the mesh. What becomes of a call: "
                + "'isthmus trace'.")
            {
                OfPod(), OfService(), OfGateway()
            };
        command.Aliases.Add("des");
        return command;
    }

    private static Command OfPod()
    {
        var (pod, contexts,
            output) = (new Argument<string>("pod") { Description = "POD[.NAMESPACE] or deployment/NAME[.NAMESPACE], in the cluster of --context" }.WithPods(),
            new MeshContexts(), new OutputOption());
        var unmeshed = new Option<bool>("--ignoreUnmeshed") { Description = "Do not warn that a Pod has no sidecar" };
        var command = new Command("pod",
            "Describe a Pod: its Services, their DestinationRules and VirtualServices, and its policies.") { pod, unmeshed, contexts.Option, output.Option };
        command.Aliases.Add("po");
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var reading = ReadAsync(line, contexts, client.Access, stop);
            var (ns,
                name) = await new MeshQuery(client, line.GetValue(GlobalOptions.IstioNamespace)!).ResolvePodAsync(line.GetValue(pod)!,
                    line.GetValue(GlobalOptions.Namespace), stop);
            var found = MeshDescription.OfPod(await reading, ns, name);
            output.Write(line, () => Tree(found), () =>
            {
                Show(found.Pod!, line.GetValue(unmeshed));
                ShowMesh(found);
            });
            return ExitCode.Success;
        });
        return command;
    }

    private static Command OfService()
    {
        var (service, contexts, output) = (new Argument<string>("service") { Description = "SERVICE[.NAMESPACE], in the cluster of --context" },
            new MeshContexts(), new OutputOption());
        var command = new Command("service", "Describe a Service: its DestinationRules and VirtualServices.") { service, contexts.Option, output.Option };
        command.Aliases.Add("svc");
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var (name, ns) = NameOf(line, line.GetValue(service)!, client.Access);
            var found = MeshDescription.OfService(await ReadAsync(line, contexts, client.Access, stop), ns, name);
            output.Write(line, () => Tree(found), () =>
            {
                Show(found.Services[0]);
                ShowMesh(found);
            });
            return ExitCode.Success;
        });
        return command;
    }

    private static Command OfGateway()
    {
        var (gateway, contexts, output) = (new Argument<string>("gateway") { Description = "GATEWAY[.NAMESPACE], in the cluster of --context" },
            new MeshContexts(), new OutputOption());
        var command = new Command("gateway",
            "Describe a Gateway of the Gateway API: its addresses, its listeners and those of ListenerSets, and their routes.")
            {
                gateway, contexts.Option, output.Option
            };
        command.Aliases.Add("gw");
        command.SetAction(async (line, stop) =>
        {
            using var client = GlobalOptions.Client(line);
            var (name, ns) = NameOf(line, line.GetValue(gateway)!, client.Access);
            var found = MeshDescription.OfGateway(await ReadAsync(line, contexts, client.Access, stop), ns, name);
            output.Write(line, () => Tree(found), () =>
            {
                Show(found.Gateway!);
                ShowMesh(found);
            });
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>NAME[.NAMESPACE].</summary>
    private static (string Name, string Namespace) NameOf(ParseResult line, string text, ClusterAccess access) => text.Split('.', 2) is [var before, var after]
        ? (before, after)
        : (text, line.GetValue(GlobalOptions.Namespace) ?? access.Namespace);

    /// <summary>The clusters of the mesh, that of --context first.</summary>
    private static Task<ClusterInventory[]> ReadAsync(ParseResult line, MeshContexts contexts, ClusterAccess home, CancellationToken stop)
    {
        var reader = new InventoryReader(line.GetValue(GlobalOptions.IstioNamespace)!, proxies: 0);
        List<ClusterAccess> clusters = [home, .. contexts.Names(line).Where(name => name != home.Name).Select(name => MeshContexts.Load(line, name))];
        return Task.WhenAll(clusters.Select(access => reader.ReadAsync(access.Name, access, stop)));
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
        foreach (var gateway in found.Gateways)
        {
            Console.WriteLine(Line);
            Show(gateway);
        }
        if (!found.HasProxy) return;
        Console.WriteLine($"{Line}\nEffective PeerAuthentication:\n   Workload mTLS mode: {found.Mode}");
        if (found.ModeOf.Count > 0) Console.WriteLine($"Applied PeerAuthentication:\n   {string.Join(", ", found.ModeOf)}");
        if (found.Policies.Count > 0) Console.WriteLine($"AuthorizationPolicies:\n   {string.Join(", ", found.Policies)}");
    }

    private static void Show(DescribedGateway gateway)
    {
        Console.WriteLine($"Gateway (gateway.networking.k8s.io): {gateway.Name}, class {gateway.Class}");
        if (!gateway.IsOurs) Console.WriteLine("   Control planes of the mesh do not serve this class");
        Console.WriteLine($"   Addresses: {(gateway.Addresses.Count > 0 ? string.Join(", ", gateway.Addresses) : "none")}");
        foreach (var condition in gateway.Conditions) Console.WriteLine($"   {condition}");
        foreach (var listener in gateway.Listeners)
        {
            Console.WriteLine($"   Listener {listener.Name}: {listener.Place}{(listener.Set.Length > 0 ? $", of {listener.Set}" : "")}");
            foreach (var route in listener.Routes) Console.WriteLine($"      {route}");
            if (listener.Routes.Count == 0) Console.WriteLine("      no routes");
        }
        foreach (var (route, reason) in gateway.Refused) Console.WriteLine($"   {route}: {reason}");
    }

    /// <summary>What other clusters have, and what is wrong.</summary>
    private static void ShowMesh(MeshDescription found)
    {
        if (found.Config != found.Cluster)
            Console.WriteLine($"{Line}\nThe control plane of {found.Cluster} reads Istio objects in {found.Config}: those above are there");
        foreach (var (name, there) in found.Elsewhere)
        {
            Console.WriteLine($"{Line}\nIn {there.Cluster}:");
            if (there.Error.Length > 0) Console.WriteLine($"   not known: {there.Error}");
            else if (there.Service is not { } service)
                Console.WriteLine($"   There is no Service {name}: callers there find the name only if their sidecars answer DNS queries");
            else
            {
                Console.WriteLine($"Service: {name}\n   Pods: {there.Pods.All}, {there.Pods.Ready} ready");
                // Objects of another cluster count there only if its control plane reads them.
                if (there.Config == found.Config) Console.WriteLine($"   The same Istio objects apply: those in {there.Config}");
                else ShowRules(service);
                if (there.Pod is not { } pod) continue;
                Console.WriteLine($"   Workload mTLS mode: {pod.Mode}{(pod.ModeOf.Count > 0 ? $" ({string.Join(", ", pod.ModeOf)})" : "")}");
                if (pod.Policies.Count > 0) Console.WriteLine($"   AuthorizationPolicies: {string.Join(", ", pod.Policies)}");
            }
        }
        if (found.Problems.Count > 0) Console.WriteLine(Line);
        foreach (var finding in found.Problems)
            Console.WriteLine($"{finding.Problem.Severity} [{finding.Problem.Code}] in {finding.Cluster}: {finding.Problem}");
    }

    private static void Show(DescribedService service)
    {
        Console.WriteLine($"Service: {service.Name}");
        foreach (var port in service.Ports) Console.WriteLine($"   Port: {port}");
        ShowRules(service);
    }

    private static void ShowRules(DescribedService service)
    {
        foreach (var rule in service.Rules)
        {
            Console.WriteLine($"DestinationRule: {rule.Name} for \"{rule.Host}\"");
            if (rule.Matching.Count > 0) Console.WriteLine($"   Matching subsets: {string.Join(", ", rule.Matching)}");
            if (rule.Others.Count > 0)
                Console.WriteLine($"   {(rule.Matching.Count > 0 ? "Non-matching subsets" : "Subsets")}: {string.Join(", ", rule.Others)}");
            Console.WriteLine(rule.Settings.Count > 0 ? $"   Traffic Policy: {string.Join(", ", rule.Settings)}" : "   No Traffic Policy");
        }
        foreach (var routes in service.Routes)
        {
            Console.WriteLine($"VirtualService: {routes.Name}");
            var counts = ((int Count, string Kind)[])[(routes.Http, "HTTP"), (routes.Tls, "TLS"), (routes.Tcp, "TCP")];
            Console.WriteLine(
                $"   {string.Join(", ", counts.Where(one => one.Count > 0).Select(one => $"{one.Count} {one.Kind} route(s)"))}, for "
                    + $"{string.Join(", ", routes.Gateways)}");
        }
        ShowRoutes(service);
    }

    private static void ShowRoutes(DescribedService service)
    {
        foreach (var route in service.ApiRoutes.GroupBy(route => route.Route, StringComparer.Ordinal))
        {
            Console.WriteLine(route.Key);
            var parents = route.First().Parents is [_, ..] known ? string.Join(", ", known) : "nobody";
            Console.WriteLine($"   Rules: {string.Join(", ", route.Select(one => one.Rule))}, for {parents}");
            foreach (var refusal in route.First().Refusals) Console.WriteLine($"   {refusal}");
        }
    }

    private static JsonObject Tree(MeshDescription found)
    {
        var tree = found.Pod is { } pod ? Tree(pod) : found.Gateway is { } gateway ? Tree(gateway) : Tree(found.Services[0]);
        tree["cluster"] = found.Cluster;
        tree["configCluster"] = found.Config;
        tree["elsewhere"] = new JsonArray([.. found.Elsewhere.Select(one => (JsonNode)new JsonObject
        {
            ["cluster"] = one.There.Cluster, ["error"] = one.There.Error, ["configCluster"] = one.There.Config,
            ["service"] = one.There.Service is { } service ? Tree(service) : null,
            ["name"] = one.Service, ["pods"] = one.There.Pods.All, ["readyPods"] = one.There.Pods.Ready, ["mtlsMode"] = one.There.Pod?.Mode ?? "",
            ["peerAuthentications"] = Texts(one.There.Pod?.ModeOf ?? []), ["authorizationPolicies"] = Texts(one.There.Pod?.Policies ?? []),
        })]);
        tree["problems"] = new JsonArray([.. found.Problems.Select(finding => (JsonNode)new JsonObject
        {
            ["code"] = finding.Problem.Code, ["severity"] = finding.Problem.Severity.ToString(), ["cluster"] = finding.Cluster,
            ["object"] = finding.Problem.Object, ["path"] = finding.Problem.Path, ["message"] = finding.Problem.Message, ["remedy"] = finding.Problem.Remedy,
        })]);
        return tree;
    }

    private static JsonObject Tree(WorkloadDescription found) => new()
    {
        ["pod"] = found.Pod.Key.ToString(), ["proxy"] = found.HasProxy,
        ["services"] = new JsonArray([.. found.Services.Select(service => (JsonNode)Tree(service))]),
        ["mtlsMode"] = found.Mode, ["peerAuthentications"] = Texts(found.ModeOf), ["authorizationPolicies"] = Texts(found.Policies),
        ["gateways"] = new JsonArray([.. found.Gateways.Select(gateway => (JsonNode)Tree(gateway))]),
    };

    private static JsonObject Tree(DescribedGateway gateway) => new()
    {
        ["name"] = gateway.Name, ["class"] = gateway.Class, ["served"] = gateway.IsOurs, ["addresses"] = Texts(gateway.Addresses),
        ["conditions"] = Texts(gateway.Conditions),
        ["listeners"] = new JsonArray([.. gateway.Listeners.Select(listener => (JsonNode)new JsonObject
        {
            ["name"] = listener.Name, ["place"] = listener.Place, ["routes"] = Texts(listener.Routes), ["listenerSet"] = listener.Set,
        })]),
        ["refused"] = new JsonArray([.. gateway.Refused.Select(one => (JsonNode)new JsonObject { ["route"] = one.Route, ["reason"] = one.Reason })]),
    };

    private static JsonObject Tree(DescribedService service) => new()
    {
        ["service"] = service.Name, ["ports"] = Texts(service.Ports),
        ["destinationRules"] = new JsonArray([.. service.Rules.Select(rule => (JsonNode)new JsonObject
        {
            ["name"] = rule.Name, ["host"] = rule.Host, ["matchingSubsets"] = Texts(rule.Matching), ["otherSubsets"] = Texts(rule.Others),
            ["trafficPolicy"] = Texts(rule.Settings),
        })]),
        ["virtualServices"] = new JsonArray([.. service.Routes.Select(routes => (JsonNode)new JsonObject
        {
            ["name"] = routes.Name, ["http"] = routes.Http, ["tls"] = routes.Tls, ["tcp"] = routes.Tcp, ["gateways"] = Texts(routes.Gateways),
        })]),
        ["routes"] = new JsonArray([.. service.ApiRoutes.Select(route => (JsonNode)new JsonObject
        {
            ["route"] = route.Route, ["rule"] = route.Rule, ["parents"] = Texts(route.Parents), ["refusals"] = Texts(route.Refusals),
        })]),
    };

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)JsonValue.Create(text)!)]);
}
