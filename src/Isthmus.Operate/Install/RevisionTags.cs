using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Operate.Install.Render;
using Isthmus.Operate.Inventory;

namespace Isthmus.Operate.Install;

/// <summary>A name for a revision that namespaces use in its place.</summary>
/// <param name="Namespaces">Those whose label <c>istio.io/rev</c> is the tag.</param>
public sealed record RevisionTag(string Name, string Revision, ValueList<string> Namespaces);

/// <summary>
/// Revision tags of one cluster: namespaces keep their label <c>istio.io/rev=TAG</c> while the tag moves from one revision of the control
/// plane to the next. A tag is an injection webhook of its own that calls the revision, and a Service that leads to it. (istioctl reference: <c>istioctl
/// tag</c>.)
/// </summary>
public sealed class RevisionTags(KubeClient client)
{
    /// <summary>The tag that stands for namespaces with <c>istio-injection=enabled</c>.</summary>
    public const string Default = "default";

    private const string TagLabel = RevisionTagObjects.TagLabel;
    private const string Deactivated = "istio.io/deactivated";

    public async Task<IReadOnlyList<RevisionTag>> ListAsync(CancellationToken stop)
    {
        var namespaces = await client.ListAllAsync<Namespace>(Kinds.Namespace, null, new ListOptions(), stop);
        var tags = await client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null, new ListOptions { LabelSelector = TagLabel }, stop);
        // Who may not write webhooks can have made the Service only.
        var services = await client.ListAllAsync<JsonObject>(Kinds.Service, null,
            new ListOptions { LabelSelector = $"{TagLabel},{Labels.Revision},app={WellKnown.Istiod}" }, stop);
        return [.. tags.Concat(services).DistinctBy(tag => Label(tag, TagLabel)).Select(tag => Read(tag, namespaces))
            .OrderBy(tag => tag.Name, StringComparer.Ordinal)];
    }

    /// <summary>The objects that would make the tag: the webhook, and the Service where the revision's control plane runs in the same cluster.</summary>
    /// <exception cref="ProblemException">The name is taken or invalid, or the revision does not exist.</exception>
    public async Task<IReadOnlyList<JsonObject>> GenerateAsync(string tag, string revision, bool overwrite, CancellationToken stop)
    {
        RevisionTagObjects.Check($"tag {tag}", tag);
        var injectors = (await client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null, new ListOptions { LabelSelector = Labels.Revision },
            stop))
            .ToList();
        var revisions = injectors.Where(one => Label(one, TagLabel).Length == 0).ToLookup(one => Label(one, Labels.Revision), StringComparer.Ordinal);
        if (tag != Default && revisions.Contains(tag))
            throw new ProblemException($"tag {tag}", "a revision has the same name", "choose another name, so that namespace labels are unambiguous");
        var existing = injectors.FirstOrDefault(one => Label(one, TagLabel) == tag);
        if (existing is not null && !overwrite && Label(existing, Labels.Revision) != revision)
            throw new ProblemException($"tag {tag}", $"points to revision {Label(existing, Labels.Revision)} already", "use --overwrite to move it");
        var injector = revisions[revision].FirstOrDefault() ?? throw NoRevision(revision, [.. revisions.Select(group => group.Key)]);
        var home = (injector["webhooks"]![0]!["clientConfig"] as JsonObject)!;
        var ns = home["service"]?["namespace"]?.ToString() ?? WellKnown.SystemNamespace;
        // The tag takes the place of the injector that namespaces without a label have.
        var byDefault = injectors.Where(one => Label(one, TagLabel) is "" or Default).Any(InjectorWebhook.InjectsByDefault);
        List<JsonObject> objects = [RevisionTagObjects.Webhook(tag, ns, LabelsOf(tag, revision, ("app", "sidecar-injector")), home, byDefault)];
        var control = home["service"]?["name"] is { } name ? await client.FindAsync(Kinds.Service, ns, name.ToString(), stop) : null;
        // The Service of a control plane in another cluster selects nothing.
        if (control?["spec"]?["selector"] is JsonObject { Count: > 0 })
            objects.Add(RevisionTagObjects.Service(tag, LabelsOf(tag, revision, ("app", WellKnown.Istiod), ("istio", "pilot")), control));
        return objects;
    }

    /// <summary>Creates or moves a tag. New Pods follow it; running Pods keep their proxies until they are restarted.</summary>
    /// <returns>What else was done, one sentence each.</returns>
    public async Task<IReadOnlyList<string>> SetAsync(string tag, string revision, bool overwrite, CancellationToken stop)
    {
        foreach (var wanted in await GenerateAsync(tag, revision, overwrite, stop)) await PutAsync(wanted, stop);
        return tag == Default && revision != Default ? await DeactivateDefaultAsync(stop) : [];
    }

    /// <summary>Replaced, not merged: an older webhook may have had more ways to match, and a Service of another revision selects by other labels.</summary>
    private async Task PutAsync(JsonObject wanted, CancellationToken stop)
    {
        var kind = Applier.KindOf(wanted);
        var existing = await client.FindAsync(kind, wanted["metadata"]!["namespace"]?.ToString(), wanted["metadata"]!["name"]!.ToString(), stop);
        if (existing is null)
        {
            await client.CreateAsync(kind, wanted, stop);
            return;
        }
        wanted["metadata"]!["resourceVersion"] = existing["metadata"]!["resourceVersion"]?.DeepClone();
        foreach (var address in (string[])["clusterIP", "clusterIPs"])
        {
            if (existing["spec"]?[address] is { } kept) wanted["spec"]![address] = kept.DeepClone();
        }
        await client.ReplaceAsync(kind, wanted, stop);
    }

    /// <summary>Removes a tag. New Pods in namespaces that use it no longer get sidecars.</summary>
    /// <exception cref="ProblemException">The tag does not exist.</exception>
    public async Task RemoveAsync(RevisionTag tag, CancellationToken stop)
    {
        foreach (var one in await client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null,
            new ListOptions { LabelSelector = $"{TagLabel}={tag.Name}" }, stop))
            await client.DeleteAsync(Kinds.MutatingWebhookConfiguration, null, (string)one["metadata"]!["name"]!, stop);
        foreach (var one in await client.ListAllAsync<JsonObject>(Kinds.Service, null,
            new ListOptions { LabelSelector = $"{TagLabel}={tag.Name},{Labels.Revision},app={WellKnown.Istiod}" }, stop))
            await client.DeleteAsync(Kinds.Service, (string)one["metadata"]!["namespace"]!, (string)one["metadata"]!["name"]!, stop);
    }

    /// <exception cref="ProblemException">The tag does not exist.</exception>
    public async Task<RevisionTag> FindAsync(string name, CancellationToken stop) =>
        (await ListAsync(stop)).FirstOrDefault(tag => tag.Name == name)
        ?? throw new ProblemException($"tag {name}", $"does not exist in {client.Access.Name}", "list the existing tags with 'isthmus tag list'");

    /// <summary>Two webhooks that match the same namespaces would both inject.</summary>
    private async Task<IReadOnlyList<string>> DeactivateDefaultAsync(CancellationToken stop)
    {
        var done = new List<string>();
        var injectors = await client.ListAllAsync<JsonObject>(Kinds.MutatingWebhookConfiguration, null,
            new ListOptions { LabelSelector = $"{Labels.Revision}={Default},!{TagLabel}" }, stop);
        foreach (var injector in injectors)
        {
            var patch = new JsonArray();
            for (var i = 0; i < (injector["webhooks"] as JsonArray ?? []).Count; i++)
            {
                var never = new JsonObject { ["matchLabels"] = new JsonObject { [Deactivated] = "never-match" } };
                patch.Add((JsonNode)new JsonObject { ["op"] = "add", ["path"] = $"/webhooks/{i}/namespaceSelector", ["value"] = never });
            }
            var name = (string)injector["metadata"]!["name"]!;
            await client.PatchAsync(Kinds.MutatingWebhookConfiguration, null, name, patch, PatchType.Json, stop);
            done.Add(
                $"MutatingWebhookConfiguration {name} of the revision without a name matches nothing any more: the tag took its place (installing that "
                    + $"revision again undoes this).");
        }
        return done;
    }

    private static JsonObject LabelsOf(string tag, string revision, params ReadOnlySpan<(string Key, string Value)> more)
    {
        var labels = new JsonObject { [Labels.Revision] = revision, [TagLabel] = tag, [ObjectLabels.Component] = "Pilot", [ObjectLabels.Release] = "istio" };
        foreach (var (key, value) in more) labels[key] = value;
        ObjectLabels.Recommend(labels, WellKnown.Istiod);
        return labels;
    }

    private static RevisionTag Read(JsonObject webhook, IReadOnlyList<Namespace> namespaces)
    {
        var name = Label(webhook, TagLabel);
        var users = namespaces.Where(ns => ns.Metadata.Labels.GetValueOrDefault(Labels.Revision) == name
            || (name == Default && ns.Metadata.Labels.GetValueOrDefault(Labels.Injection) == "enabled"));
        return new(name, Label(webhook, Labels.Revision), users.Select(ns => ns.Metadata.Name).Order(StringComparer.Ordinal).ToValueList());
    }

    private ProblemException NoRevision(string revision, IReadOnlyList<string> known) => new(
        $"revision {revision}", $"is not installed in {client.Access.Name}",
        known.Count == 0
            ? "install it with 'isthmus install --revision NAME'"
            : $"install it with 'isthmus install --revision {revision}', or take one of: {string.Join(", ", known.Order(StringComparer.Ordinal))}");

    private static string Label(JsonObject value, string name) => value["metadata"]?["labels"]?[name]?.ToString() ?? "";
}
