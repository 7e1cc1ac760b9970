using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>The names by which objects ask for a control plane: its revision, and the tags that lead to it. Objects that ask for none belong to the default
/// one, as in Istio, which may be a control plane of Istio.</summary>
internal sealed class RevisionNames
{
    private const string Default = "default", Tag = "istio.io/tag";

    private readonly string _revision;
    private readonly WatchedList<JsonObject> _tags;
    private volatile TaskCompletionSource _changed = New();

    /// <param name="revision">Empty: the default one.</param>
    public RevisionNames(KubeClient client, string revision, TimeProvider time)
    {
        _revision = revision.Length == 0 ? Default : revision;
        // The webhook of a tag says which revision it leads to.
        _tags = new WatchedList<JsonObject>(client, Kinds.MutatingWebhookConfiguration, new() { LabelSelector = Tag }, time)
            .Listen(_ => Interlocked.Exchange(ref _changed, New()).TrySetResult());
    }

    /// <summary>Completes when the API server has said which tags there are, or that it does not tell.</summary>
    public Task Known => _tags.Informer.Answered;

    /// <summary>Completes when a tag changes.</summary>
    public Task Changed => _changed.Task;

    public bool IsDefault => Has(Default);

    public Task RunAsync(CancellationToken stop) => _tags.RunAsync(stop);

    /// <summary>Whether a revision or tag is this control plane.</summary>
    public bool Has(string name)
    {
        var revisions = _tags.Items.Where(item => Label(item, Tag) == name).Select(item => Label(item, Labels.Revision)).ToList();
        return revisions.Count > 0 ? revisions.Contains(_revision) : name == _revision;
    }

    private static string Label(JsonObject item, string name) => (string?)item["metadata"]?["labels"]?[name] ?? "";

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
