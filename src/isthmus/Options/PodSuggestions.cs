using System.CommandLine;
using System.CommandLine.Completions;
using System.Text.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Options;

/// <summary>Completes the names of Pods with a proxy, and of Deployments after <c>deployment/</c>. A shell that waits would annoy more than one that
/// knows nothing: after a second, and for any failure, there are none.</summary>
internal static class PodSuggestions
{
    private const string DeploymentPrefix = "deployment/";
    private const int Most = 500;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    internal static Argument<T> WithPods<T>(this Argument<T> argument)
    {
        // The help would list them otherwise.
        argument.HelpName = argument.Name;
        argument.CompletionSources.Add(context => Find(context));
        return argument;
    }

    private static IEnumerable<CompletionItem> Find(CompletionContext context)
    {
        try
        {
            var line = context.ParseResult;
            var (name, ns) = (line.GetValue(GlobalOptions.Context), line.GetValue(GlobalOptions.Namespace));
            var access = KubeConfig.Load(line.GetValue(GlobalOptions.Kubeconfig), name, Environment.GetEnvironmentVariable);
            using var client = new KubeClient(access, "isthmus") { RequestTimeout = Patience };
            using var patience = new CancellationTokenSource(Patience);
            return FindAsync(client, ns, context.WordToComplete, patience.Token).WaitAsync(Patience, patience.Token).GetAwaiter().GetResult()
                .Select(found => new CompletionItem(found));
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException or OperationCanceledException or TimeoutException
            or IOException or JsonException)
        {
            return [];
        }
    }

    /// <param name="ns">The namespace that the line names; otherwise names are given with theirs.</param>
    /// <param name="begun">What was typed of the name.</param>
    internal static async Task<IReadOnlyList<string>> FindAsync(KubeClient client, string? ns, string begun, CancellationToken stop)
    {
        var options = new ListOptions { Limit = Most };
        string Named(ObjectMeta metadata) => ns is null ? $"{metadata.Name}.{metadata.Namespace}" : metadata.Name;
        var names = begun.StartsWith(DeploymentPrefix, StringComparison.Ordinal)
            ? (await client.ListAsync<Deployment>(Kinds.Deployment, ns, options, stop)).Items.Select(deployment => DeploymentPrefix
                + Named(deployment.Metadata))
            : (await client.ListAsync<Pod>(Kinds.Pod, ns, options, stop)).Items.Where(HasProxy).Select(pod => Named(pod.Metadata));
        return [.. names.Where(name => name.StartsWith(begun, StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
    }

    private static bool HasProxy(Pod pod) =>
        pod.Metadata.DeletionTimestamp is null && pod.Spec.Containers.Concat(pod.Spec.InitContainers).Any(container => container.Name == "istio-proxy");
}
