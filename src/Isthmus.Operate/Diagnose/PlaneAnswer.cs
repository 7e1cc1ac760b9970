using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose;

/// <summary>What a control plane answered.</summary>
/// <param name="Release">What tells it from others: its revision and version; empty when unknown.</param>
/// <param name="Answer">Null: it does not tell.</param>
/// <param name="Why">Why it does not, as what follows its name.</param>
public sealed record PlaneAnswer(string Pod, string Release, JsonNode? Answer, string Why = "")
{
    /// <summary>What it is if it lacks a page, or a part of one, as what follows its name.</summary>
    public string Foreign => $"is a control plane that is not of Isthmus, or an older one{(Release.Length > 0 ? $" ({Release})" : "")}";

    /// <summary>What it says where it has no answer: it may have the page, but not for what the query names.</summary>
    public string Said { get; init; } = "";

    /// <summary>It is not of Isthmus, or older.</summary>
    public bool IsForeign => Why == Foreign;

    /// <summary>What it answers, as a record. An answer in another form counts as none, with the reason.</summary>
    public PlaneReport<T> As<T>(JsonTypeInfo<T> type)
        where T : class
    {
        if (Answer is null) return new(this, null);
        try
        {
            return new(this, Answer.Deserialize(type) ?? throw new JsonException("it is null"));
        }
        catch (JsonException e)
        {
            return new(this with { Answer = null, Why = Unreadable(e.Message) }, null);
        }
    }

    /// <summary>What it answers, as a list of records. An item in another form is left out and named; the others count.</summary>
    public PlaneReport<IReadOnlyList<T>> AsList<T>(JsonTypeInfo<T> item)
        where T : class
    {
        // A list of Go that nothing was put into is null, which is read as an empty object.
        if (Answer is JsonObject { Count: 0 }) return new(this with { Answer = new JsonArray() }, []);
        if (Answer is null) return new(this, null);
        if (Answer is not JsonArray all) return new(this with { Answer = null, Why = Unreadable("it is not a list") }, null);
        var (read, told, faults) = (new List<T>(), new JsonArray(), new List<string>());
        for (var at = 0; at < all.Count; at++)
        {
            try
            {
                read.Add(all[at].Deserialize(item) ?? throw new JsonException("it is null"));
                told.Add(all[at]!.DeepClone());
            }
            catch (JsonException e)
            {
                faults.Add($"item {at}: {e.Message}");
            }
        }
        return new(this with { Answer = told }, read)
        {
            Unread = faults.Count == 0 ? null : this with { Answer = null, Why = Unreadable(faults[0], faults.Count) },
        };
    }

    private static string Unreadable(string why, int items = 0) => $"answers {(items > 0 ? $"{Counted.Of(items, "item")} " : "")}in a form that this "
        + $"program does not read ({Visible.Text(why)})";

    /// <summary>One that has not answered yet.</summary>
    internal static PlaneAnswer Of(Kubernetes.Objects.Pod pod) => new(pod.Metadata.Name, ReleaseOf(pod), null);

    private static string ReleaseOf(Kubernetes.Objects.Pod pod)
    {
        var labels = pod.Metadata.Labels;
        var image = (pod.Spec.Containers.Find(container => container.Name == "discovery") ?? pod.Spec.Containers.FirstOrDefault())?.Image ?? "";
        var version = labels.GetValueOrDefault("app.kubernetes.io/version") ?? ImageTag.Of(image);
        return $"revision {labels.GetValueOrDefault(Labels.Revision) ?? "default"}{(version is null ? "" : $", version {version}")}";
    }
}

/// <summary>A page of a control plane.</summary>
/// <param name="Plane">Says why there is none.</param>
/// <param name="Page">Null: it does not tell.</param>
public sealed record PlaneReport<T>(PlaneAnswer Plane, T? Page)
    where T : class
{
    /// <summary>Says what of a list could not be read; null: everything could.</summary>
    public PlaneAnswer? Unread { get; init; }

    /// <summary>Says what it does not tell; null: it tells everything.</summary>
    public PlaneAnswer? Silent => Page is null ? Plane : Unread;
}

/// <summary>The clusters that the control planes of a cluster watch: one line for each control plane and each cluster that it watches.</summary>
/// <param name="Unknown">The control planes that do not tell, and why.</param>
public sealed record WatchedClusters(IReadOnlyList<WatchedCluster> Lines, IReadOnlyList<Problem> Unknown)
{
    /// <summary>Whether any control plane tells.</summary>
    public bool IsKnown { get; init; } = true;

    /// <summary>Whether asking again tells no more: those that do not tell are not of Isthmus. Others may only be out of reach for a while.</summary>
    public bool IsFinal { get; init; } = true;
}
