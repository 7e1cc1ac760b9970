using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Install;
using Isthmus.Options;
using Isthmus.Output;

namespace Isthmus.Commands;

/// <summary><c>isthmus experimental wait TYPE NAME</c>: waits until proxies have what follows from an object.</summary>
internal static class DistributionCommand
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    internal static Command Build()
    {
        var type = new Argument<string>("type") { Description = "The type of the object, for example virtualservice; or TYPE/NAME[.NAMESPACE]" };
        var name = new Argument<string?>("name") { Description = "NAME[.NAMESPACE]", Arity = ArgumentArity.ZeroOrOne };
        var condition = new Option<string>("--for") { Description = "What to wait for: distribution", DefaultValueFactory = _ => "distribution" }
            .OneOf(StringComparer.Ordinal, "is not a condition", "use distribution; for deletion, 'kubectl wait --for=delete'", "distribution");
        var timeout = new DurationOption("--timeout", "How long to wait", "30s");
        var threshold = new Option<double>("--threshold") { Description = "The share of proxies that must have it, from 0 to 1", DefaultValueFactory = _ => 1 };
        var proxy = new Option<string?>("--proxy") { Description = "Wait for this proxy only: POD[.NAMESPACE]" };
        var output = new OutputOption();
        var command = new Command("wait",
            "Wait until the proxies have accepted the configuration that follows from an Istio object.")
            {
                type, name, condition, timeout.Option, threshold, proxy, output.Option
            };
        command.SetAction(async (line, stop) =>
        {
            var share = Share(line.GetValue(threshold));
            var (kind, ns, of) = Object(line.GetValue(type)!, line.GetValue(name), line.GetValue(GlobalOptions.Namespace));
            using var client = GlobalOptions.Client(line);
            ns ??= client.Access.Namespace;
            var found = await client.FindAsync(Manifests.ResourceOf(kind), ns, of, stop)
                ?? throw new ProblemException($"{kind.Kind} {ns}/{of} in {client.Access.Name}", "does not exist",
                    $"list those that do with 'kubectl --context={client.Access.Name} get {kind.Plural} -A'");
            var goal = new Goal(kind, found["metadata"]!["resourceVersion"]!.ToString(), share, line.GetValue(proxy));
            var reached = await UntilAsync(goal, new(client, line.GetValue(GlobalOptions.IstioNamespace)!), timeout.Of(line), stop);
            foreach (var silent in reached.Silent) Console.Error.WriteLine($"Note: {silent}");
            output.Write(line, () => Tree(reached),
                () => Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"Resource {kind.Kind}/{ns}/{of} present on {reached.Synced} out of {reached.Proxies.Count} sidecars")));
            return goal.IsReached(reached) ? ExitCode.Success
                : throw new ProblemException($"{kind.Kind} {ns}/{of}", $"is not distributed after {line.GetValue(timeout.Option)}: {goal.Missing(reached)}",
                    "'isthmus proxy-status' shows each proxy; wait longer with --timeout, or for fewer proxies with --threshold");
        });
        return command;
    }

    /// <summary>Asks until the goal is reached or the time is over; returns the last answer.</summary>
    private static async Task<Distribution> UntilAsync(Goal goal, MeshQuery query, TimeSpan patience, CancellationToken stop)
    {
        for (var begun = TimeProvider.System.GetTimestamp(); ; await Task.Delay(Pause, stop))
        {
            var all = await Distribution.AskAsync(query, goal.Kind, goal.Version, stop);
            var last = goal.Proxy is { } proxy ? all.Of(proxy) : all;
            if (goal.IsReached(last) || TimeProvider.System.GetElapsedTime(begun) >= patience) return last;
        }
    }

    private static double Share(double value) => value is >= 0 and <= 1 ? value
        : throw new WrongUseException("--threshold", $"'{value.ToString(CultureInfo.InvariantCulture)}' is not a share",
            "give a number from 0 to 1, for example 0.95");

    private static (KindDescriptor Kind, string? Namespace, string Name) Object(string type, string? name, string? ns)
    {
        if (name is null)
        {
            if (type.Split('/', 2) is not [var before, var after] || after.Length == 0)
                throw new WrongUseException("wait", "no name is given", "for example: isthmus experimental wait virtualservice reviews.default");
            (type, name) = (before, after);
        }
        var kind = MeshApi.Effective.FirstOrDefault(known => ((string[])[known.Kind, known.Plural, known.CrdName, .. known.ShortNames])
            .Contains(type, StringComparer.OrdinalIgnoreCase))
            ?? throw new WrongUseException("wait", $"'{type}' is not a type that affects proxies",
                $"use one of {string.Join(", ", MeshApi.Effective.Select(known => known.Kind.ToLowerInvariant()))}");
        return name.LastIndexOf('.') is > 0 and var dot ? (kind, name[(dot + 1)..], name[..dot]) : (kind, ns, name);
    }

    private static JsonObject Tree(Distribution distribution) => new()
    {
        ["synced"] = distribution.Synced,
        ["proxies"] = new JsonArray([.. distribution.Proxies.Select(proxy => (JsonNode)new JsonObject
        {
            ["proxy"] = proxy.Proxy, ["cluster"] = proxy.Cluster, ["istiod"] = proxy.ControlPlane, ["state"] = proxy.State,
        })]),
        ["unknown"] = new JsonArray([.. distribution.Silent.Select(silent => (JsonNode)new JsonObject
        {
            ["istiod"] = silent.Object, ["message"] = silent.Message
        })]),
        ["notPushedBy"] = new JsonArray([.. distribution.Lagging.Select(pod => (JsonNode)JsonValue.Create(pod)!)]),
    };

    /// <param name="Version">The object's resource version.</param>
    /// <param name="Share">The share of proxies that must have it.</param>
    /// <param name="Proxy">Null: all proxies count.</param>
    private sealed record Goal(KindDescriptor Kind, string Version, double Share, string? Proxy)
    {
        /// <summary>A proxy that is asked for by name must be connected.</summary>
        internal bool IsReached(Distribution distribution) => distribution.Reaches(Share) && (Proxy is null || distribution.Proxies.Count > 0);

        internal string Missing(Distribution distribution)
        {
            if (distribution.Lagging.Count > 0) return $"{string.Join(", ", distribution.Lagging)} has not pushed it yet";
            if (distribution.Proxies.Count == 0) return $"proxy {Proxy} is not connected";
            return string.Join(", ",
                distribution.Proxies.Where(proxy => proxy.State != "SYNCED")
                    .Select(proxy => proxy.State == "ERROR" ? $"{proxy.Proxy} rejects a part" : $"{proxy.Proxy} has not accepted it yet"));
        }
    }
}
