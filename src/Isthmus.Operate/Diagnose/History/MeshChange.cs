using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Graph.History;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose.History;

/// <summary>A change that control planes remember.</summary>
/// <param name="Verb"><c>created</c>, <c>changed</c>, <c>deleted</c>, <c>invalid</c>, or for a cluster <c>joined</c>, <c>left</c>, <c>lost</c>,
/// <c>regained</c>.</param>
public sealed record MeshChange(string Cluster, string Kind, string Namespace, string Name, string Verb)
{
    /// <summary>When it happened; with <see cref="Count"/> over 1, when the first of these changes did.</summary>
    public DateTimeOffset First { get; init; }

    /// <summary>When the last of these changes happened.</summary>
    public DateTimeOffset Last { get; init; }

    /// <summary>How many changes it stands for.</summary>
    public int Count { get; init; } = 1;

    /// <summary>Empty: unknown.</summary>
    public string FieldManager { get; init; } = "";

    /// <summary>The paths of fields that were changed, at most five; <c>…</c> at the end stands for more. Empty: unknown.</summary>
    public ValueList<string> Fields { get; init; }

    /// <summary>Empty: no webhook of the mesh saw the write.</summary>
    public string User { get; init; } = "";

    /// <summary>Whether an API server that has proven itself named the user.</summary>
    public bool IsUserProven { get; init; }

    /// <summary>How many proxies got something new; null if unknown.</summary>
    public int? Proxies { get; init; }

    /// <summary>Those that remember it.</summary>
    public ValueList<string> ControlPlanes { get; init; }

    /// <summary>The hosts whose callers it concerns.</summary>
    public ValueList<string> Hosts { get; init; }

    /// <summary>The namespace and the labels of the workloads that it concerns; null for none.</summary>
    public (string Namespace, ValueMap<string> Labels)? Selected { get; init; }

    /// <summary>The workloads that it concerns, as text; empty for none.</summary>
    public string Workloads => Selected is not { } some ? ""
        : $"{some.Namespace}/{(some.Labels.Count == 0 ? "*" : string.Join(',', some.Labels.Select(label => $"{label.Key}={label.Value}")))}";

    /// <summary>It may concern every call.</summary>
    public bool IsEverything { get; init; }

    /// <summary>It concerns calls through gateways only.</summary>
    public bool IsAtGateways { get; init; }

    /// <summary>Changed resources of each type.</summary>
    public ValueList<ChangedResources> Resources { get; init; }

    /// <summary>How many changes were pushed together, which share their effect.</summary>
    public int ChangesInPush { get; init; } = 1;

    /// <summary>Of endpoints: how many were ready before, at least, and after.</summary>
    public (int Before, int Fewest, int After)? ReadyEndpoints { get; init; }

    /// <summary>Of a workload that was scaled: the replicas that it was to have before and after.</summary>
    public (int Before, int After)? Scaling { get; init; }

    /// <summary>Of endpoints: what was done to their workload at that time; of a workload, what was done to it. Empty: unknown.</summary>
    public string Cause { get; init; } = "";

    /// <summary>Of a cluster that left: the remote secret that named it; empty: unknown.</summary>
    public string Secret { get; init; } = "";

    /// <summary>Of a cluster that left: how many of its Services were known.</summary>
    public int LostServices { get; init; }

    /// <summary>The version that was written; empty: unknown.</summary>
    public string ResourceVersion { get; init; } = "";

    /// <summary>As kubectl names it: <c>KIND NAMESPACE/NAME</c>.</summary>
    public string Object => Kind == "Cluster" ? $"connection to {Name}" : Namespace.Length == 0 ? $"{Kind} {Name}" : $"{Kind} {Namespace}/{Name}";

    /// <summary>The user, and whether that is only what somebody says who may be no API server; empty: unknown.</summary>
    public string WrittenBy => User.Length == 0 || IsUserProven ? User : $"{User}, not proven";

    /// <summary>Who made it, as far as known; empty: unknown.</summary>
    public string By => (FieldManager.Length, User.Length) switch
    {
        (0, 0) => "",
        (0, _) => $"user {WrittenBy}",
        (_, 0) => FieldManager,
        _ => $"{FieldManager} (user {WrittenBy})",
    };

    /// <summary>The calls that it concerns, in a few words; empty: unknown.</summary>
    public string Concerns
    {
        get
        {
            if (IsEverything) return "all";
            if (Hosts.Count > 0)
                return string.Join(", ", Hosts.Take(2))
                    + (Hosts.Count > 2 ? string.Create(CultureInfo.InvariantCulture, $" and {Hosts.Count - 2} more") : "")
                    + (IsAtGateways ? " at gateways" : "");
            return Workloads.Length > 0 ? $"workloads {Workloads}" : "";
        }
    }

    /// <summary>The first of the fields that were changed, in a few words; empty: unknown.</summary>
    public string FirstFields => Fields.Count <= 2 ? string.Join(", ", Fields)
        : string.Join(", ", Fields.Take(2))
            + (Fields.Contains(ChangedFields.More) ? ", …" : string.Create(CultureInfo.InvariantCulture, $" and {Fields.Count - 2} more"));

    /// <summary>What it did, in a few words.</summary>
    public string Effect
    {
        get
        {
            if (ReadyEndpoints is { } ready)
                return string.Create(CultureInfo.InvariantCulture,
                    $"{ready.Before} → {ready.After} ready"
                        + $"{(ready.Fewest < Math.Min(ready.Before, ready.After) ? $", meanwhile {ready.Fewest}" : "")}"
                        + $"{(Cause.Length > 0 ? $": {Cause}" : "")}");
            if (Kind == "Cluster" && Verb == "left" && Secret.Length > 0)
                return string.Create(CultureInfo.InvariantCulture,
                    $"Secret {Secret} is gone, so {Counted.Of(LostServices, "service")} of {Name} {(LostServices == 1 ? "is" : "are")} no "
                        + $"longer known");
            if (Scaling is not null) return Cause;
            if (Verb == "invalid") return "has errors: the last good configuration stays in force";
            if (Proxies is null) return "";
            if (Proxies == 0) return "none";
            var types = string.Join(", ",
                Resources.Select(type => type.Count > 0 ? string.Create(CultureInfo.InvariantCulture, $"{type.Type}: {type.Count}") : type.Type));
            var shared = ChangesInPush > 1
                ? string.Create(CultureInfo.InvariantCulture, $", with {ChangesInPush - 1} other change{(ChangesInPush > 2 ? "s" : "")}")
                : "";
            return string.Create(CultureInfo.InvariantCulture, $"{types} at {Counted.Of(Proxies.Value, "proxy", "proxies")}{shared}");
        }
    }

    /// <summary>Reads one change of <c>/debug/history</c>.</summary>
    /// <param name="cluster">The cluster of the control plane: it is the one that a connection to another cluster belongs to.</param>
    internal static MeshChange Read(ChangeReport line, string controlPlane, string cluster) =>
        new(line.Kind == "Cluster" && cluster.Length > 0 ? cluster : line.Cluster ?? "", line.Kind ?? "", line.Namespace ?? "", line.Name ?? "",
            line.Verb ?? "")
        {
            First = line.First ?? default, Last = line.Last ?? default, Count = Math.Max(1, line.Count ?? 1), FieldManager = line.FieldManager ?? "",
            User = line.User ?? "", IsUserProven = line.UserProven == true, Proxies = line.Proxies, ControlPlanes = [line.Istiod ?? controlPlane],
            Hosts = (line.Hosts ?? []).ToValueList(), IsEverything = line.Everything == true, IsAtGateways = line.Gateways == true,
            Selected = line.Workloads is { Namespace.Length: > 0 } some ? (some.Namespace, (some.Labels ?? []).ToValueMap()) : null,
            Resources = (line.Resources ?? []).Select(type => new ChangedResources(type.Key, type.Value.Proxies, type.Value.Count,
                (type.Value.Names ?? []).ToValueList())).ToValueList(),
            ChangesInPush = Math.Max(1, line.ChangesInPush ?? 1), Secret = line.Secret ?? "", LostServices = line.Services ?? 0,
            ReadyEndpoints = line.Endpoints is { } counts ? (Ready(counts.Before), Ready(counts.Fewest), Ready(counts.After)) : null,
            ResourceVersion = line.ResourceVersion ?? "", Fields = (line.Scaling is null ? line.Fields ?? [] : ["spec.replicas"]).ToValueList(),
            Scaling = line.Scaling is { } scaling ? (scaling.Before, scaling.After) : null,
            Cause = line.Scaling is { } told ? string.Create(CultureInfo.InvariantCulture, $"was scaled from {told.Before} to {told.After}") : "",
        };

    private static int Ready(CountReport? count) => count?.Ready ?? 0;
}

/// <summary>Changed resources of one type.</summary>
/// <param name="Proxies">How many proxies got one.</param>
/// <param name="Count">How many resources differ.</param>
/// <param name="Names">The names of the first of them.</param>
public sealed record ChangedResources(string Type, int Proxies, int Count, ValueList<string> Names);
