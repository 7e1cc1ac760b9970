using System.CommandLine;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Operate.GlobalNames;
using Isthmus.Operate.Install;
using Isthmus.Operate.Inventory;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus global export|remove|list</c>: names by which Services are called from clusters with control planes of their own.</summary>
internal static class GlobalCommand
{
    internal static Command Build() =>
        new("global", "Call Services of other clusters by NAME.NAMESPACE.global (replicated control planes).") { Export(), Remove(), List() };

    private static readonly MeshContexts To = new("--to",
        "Contexts of the clusters that call the Service, separated by commas; by default, all other clusters with Istio");

    private static readonly Option<string> Suffix = new("--suffix")
    {
        Description = "DNS zone, if the clusters were installed with a different one", DefaultValueFactory = _ => "global"
    };

    private static Command Export()
    {
        var service = new Argument<string?>("service")
        {
            Description = "NAMESPACE/NAME; by default, every Service with the label " + GlobalExport.Wanted + "=true", Arity = ArgumentArity.ZeroOrOne
        };
        var dryRun = new Option<bool>("--dry-run") { Description = "Print the objects instead of applying them" };
        var command = new Command("export",
            "Create ServiceEntries in all clusters, with an address that is free in each.") { service, To.Option, Suffix, dryRun };
        command.SetAction(async (line, stop) =>
        {
            var (owner, others) = await ClustersAsync(line, stop);
            var wanted = line.GetValue(service) is { } name
                ? [Find(owner, name)]
                : owner.Services.Where(candidate => candidate.Metadata.Labels.GetValueOrDefault(GlobalExport.Wanted) == "true").ToList();
            if (wanted.Count == 0)
                throw new ProblemException($"cluster {owner.Context}", $"has no Service with the label {GlobalExport.Wanted}=true",
                    "specify a Service as NAMESPACE/NAME, or label one");
            var clusters = others.Prepend(owner).ToList();
            foreach (var one in wanted)
            {
                var plan = GlobalExport.Plan(owner, one, [.. clusters.Skip(1)], line.GetValue(Suffix)!);
                if (line.GetValue(dryRun)) Console.Write(string.Concat(plan.Select(item => $"# {item.Cluster}\n{YamlText.Print(item.Object)}---\n")));
                else
                {
                    await Task.WhenAll(plan.Select(item => ApplyAsync(line, item, stop)));
                    Console.WriteLine(
                        $"{GlobalExport.Host(one, line.GetValue(Suffix)!)} → {plan[0].Object["spec"]!["addresses"]![0]} in "
                            + $"{string.Join(", ", plan.Select(item => item.Cluster))}");
                }
                // The next Service must not get the same address.
                clusters = [.. clusters.Zip(plan, (cluster, item) => cluster.With(item.Object))];
                owner = clusters[0];
            }
            return 0;
        });
        return command;
    }

    private static Command Remove()
    {
        var service = new Argument<string>("service") { Description = "NAMESPACE/NAME" };
        var command = new Command("remove", "Remove the ServiceEntries created by an export.") { service, Suffix };
        command.SetAction(async (line, stop) =>
        {
            var (ns, name) = Split(line.GetValue(service)!);
            var host = $"{name}.{ns}.{line.GetValue(Suffix)}";
            var found = 0;
            foreach (var context in MeshContexts.All(line))
            {
                using var client = ClientOf(line, context);
                foreach (var entry in (await ExportedAsync(client, stop)).Where(entry => entry["metadata"]!["name"]!.ToString() == host))
                {
                    await client.DeleteAsync(Kind, entry["metadata"]!["namespace"]!.ToString(), host, stop);
                    Console.WriteLine($"{host} removed from {context}");
                    found++;
                }
            }
            return found > 0
                ? 0
                : throw new ProblemException(host, "is not exported to any cluster in the kubeconfig", "list exports with 'isthmus global list'");
        });
        return command;
    }

    private static Command List()
    {
        var command = new Command("list", "List the exported Services.");
        command.SetAction(async (line, stop) =>
        {
            var rows = new List<string[]>();
            foreach (var context in MeshContexts.All(line))
            {
                using var client = ClientOf(line, context);
                rows.AddRange((await ExportedAsync(client, stop)).Select(entry => (string[])
                    [context, Join(entry["spec"]?["hosts"]), Join(entry["spec"]?["addresses"]),
                        string.Join(',', (entry["spec"]?["endpoints"] as JsonArray ?? []).Select(endpoint => endpoint?["address"]?.ToString()))]));
            }
            TextTable.Write(["CLUSTER", "HOST", "ADDRESS", "ENDPOINTS"], rows);
            return 0;
        });
        return command;
    }

    private static readonly ResourceKind Kind = Manifests.ResourceOf(Mesh.Config.MeshApi.ServiceEntry);

    private static async Task<(ClusterInventory Owner, IReadOnlyList<ClusterInventory> Others)> ClustersAsync(ParseResult line, CancellationToken stop)
    {
        var owner = line.GetValue(GlobalOptions.Context) ?? GlobalOptions.Access(line).Name;
        var named = To.Named(line);
        var read = await AnalyzeCommand.ReadAsync(new ClusterSource(line, null),
            (named.Count > 0 ? named : MeshContexts.All(line)).Where(name => name != owner).Prepend(owner), 0, stop);
        if (read[0].Error.Length > 0) throw new ProblemException($"cluster {owner}", read[0].Error, "check that the cluster is running, and --context");
        var others = read.Skip(1).Where(cluster => named.Count > 0 || cluster is { Error.Length: 0, Trust.HasIstio: true }).ToList();
        foreach (var cluster in others.Where(cluster => cluster.Error.Length > 0))
            throw new ProblemException($"cluster {cluster.Context}", cluster.Error, "check that the cluster is running, or remove it from --to");
        return (read[0], others);
    }

    private static Kubernetes.Objects.Service Find(ClusterInventory owner, string reference)
    {
        var (ns, name) = Split(reference);
        return owner.Service(ns, name)
            ?? throw new ProblemException($"Service {reference} in {owner.Context}", "does not exist",
                "specify it as NAMESPACE/NAME, and its cluster with --context");
    }

    private static (string Namespace, string Name) Split(string reference) => reference.Split('/') is [{ Length: > 0 } ns, { Length: > 0 } name]
        ? (ns, name) : throw new WrongUseException("service", $"'{reference}' is not of the form NAMESPACE/NAME", "for example bar/orders");

    private static async Task ApplyAsync(ParseResult line, MissingObject item, CancellationToken stop)
    {
        using var client = ClientOf(line, item.Cluster);
        await new Applier(client, TimeProvider.System).ApplyAsync([item.Object], stop);
    }

    private static async Task<IReadOnlyList<JsonObject>> ExportedAsync(KubeClient client, CancellationToken stop)
    {
        try
        {
            return await client.ListAllAsync<JsonObject>(Kind, null, new ListOptions { LabelSelector = $"{GlobalExport.MadeBy}={GlobalExport.Export}" }, stop);
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            return []; // The kinds are not defined: a cluster without a control plane.
        }
    }

    private static KubeClient ClientOf(ParseResult line, string context) =>
        new(MeshContexts.Load(line, context), "isthmus");

    private static string Join(JsonNode? list) => string.Join(',', (list as JsonArray ?? []).Select(item => item?.ToString()));
}
