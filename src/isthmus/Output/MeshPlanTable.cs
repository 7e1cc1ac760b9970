using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Operate.MeshFile;

namespace Isthmus.Output;

/// <summary>A plan as a table: one line for each part of a cluster, or one for each object that differs.</summary>
internal static class MeshPlanTable
{
    private const int LongestNames = 70;

    internal static void Show(MeshSpec mesh, MeshPlan plan)
    {
        var networks = mesh.Clusters.Select(cluster => cluster.Network).Distinct().Count();
        Console.WriteLine(
            $"Mesh {mesh.Name}: {Counted.Of(mesh.Clusters.Count, "cluster")}, {Counted.Of(networks, "network")}, "
                + $"{Counted.Of(mesh.Clusters.Count(cluster => cluster.IsPrimary), "control plane")}.");
        if (!plan.IsEmpty)
        {
            TextTable.Write(["CLUSTER", "PART", "ACTION", "OBJECTS"],
                [.. plan.Changes.GroupBy(change => (change.Cluster, change.Part, change.Kind)).Select(group => (string[])
                [Place(group.Key.Cluster), group.Key.Part, Action(group.Key.Kind), Objects([.. group])])]);
        }
        ShowNotes(plan);
    }

    internal static void ShowDifferences(MeshPlan plan)
    {
        if (!plan.IsEmpty)
        {
            TextTable.Write(["CLUSTER", "PART", "LIVE", "OBJECT", "DIFFERENCE"], [.. plan.Changes.SelectMany(Lines)]);
        }
        ShowNotes(plan);
    }

    private static IEnumerable<string[]> Lines(Change change)
    {
        var state = change.Kind switch { ChangeKind.Create => "missing", ChangeKind.Remove => "unexpected", _ => "different" };
        string[] line = [Place(change.Cluster), change.Part, state, change.Object];
        if (change.Fields.IsEmpty) return [[.. line, change.Why]];
        return change.Fields.Select(field => (string[])[.. line,
            $"{field.Path}: {(field.Found.Length == 0 ? "missing" : field.Found)}, the file has {(field.Wanted.Length == 0 ? "none" : field.Wanted)}"]);
    }

    private static void ShowNotes(MeshPlan plan)
    {
        foreach (var note in plan.Notes) Console.WriteLine($"Note: {note}.");
    }

    /// <summary>As many names as fit into a line, Deployments first: they say most about what the other objects are for.</summary>
    internal static string Objects(IReadOnlyList<Change> changes)
    {
        string[] names = [.. changes.Select(change => change.Object).OrderBy(name => !name.StartsWith("Deployment ", StringComparison.Ordinal))];
        var named = 1;
        for (var length = names[0].Length; named < names.Length && (length += ", ".Length + names[named].Length) <= LongestNames;) named++;
        return string.Join(", ", names[..named])
            + (named == names.Length ? "" : string.Create(CultureInfo.InvariantCulture, $" and {names.Length - named} more"));
    }

    private static string Place(string cluster) => cluster.Length == 0 ? "(files)" : cluster;

    private static string Action(ChangeKind kind) => kind.ToString().ToLowerInvariant();
}
