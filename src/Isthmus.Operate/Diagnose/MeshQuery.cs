using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose;

/// <summary>Queries running control planes and proxies through the API server (port forwarding), as istioctl does.</summary>
public sealed class MeshQuery(KubeClient client, string istioNamespace)
{
    /// <summary>A program in a container answers at its end, with everything at once.</summary>
    private static readonly TimeSpan ProgramPatience = TimeSpan.FromMinutes(1);

    private static readonly Endpoint ControlPlane = new("discovery", "pilot-discovery", Ports.DiscoveryHttp),
        Proxy = new("istio-proxy", "pilot-agent", Ports.ProxyAdmin),
        // Beside an Envoy.
        Agent = new("istio-proxy", "pilot-agent", Ports.AgentDebug);

    /// <summary>How long a control plane or a proxy may say nothing.</summary>
    public TimeSpan Patience { get; init; } = PodRequest.UsualPatience;

    /// <summary>Whether a control plane runs here, ready or not.</summary>
    public async Task<bool> HasControlPlaneAsync(CancellationToken stop) => (await PodsAsync(stop)).Count > 0;

    /// <summary>The names of the control planes that are ready.</summary>
    public async Task<IReadOnlyList<Pod>> ControlPlanesAsync(CancellationToken stop)
    {
        var pods = await PodsAsync(stop);
        var ready = pods.Where(pod => pod.Status.IsReady && pod.Metadata.DeletionTimestamp is null).OrderBy(pod => pod.Metadata.Name, StringComparer.Ordinal)
            .ToList();
        return ready.Count > 0 ? ready
            : throw new ProblemException($"namespace {istioNamespace} in {client.Access.Name}",
                pods.Count == 0
                    ? "has no control plane (no Pod with label app=istiod)"
                    : $"has no ready control plane: {string.Join(", ", pods.Select(pod => pod.Metadata.Name))}",
                pods.Count == 0
                    ? "install one with 'isthmus install', or give --istioNamespace"
                    : $"inspect it with 'kubectl -n {istioNamespace} describe pod -l app=istiod'");
    }

    private Task<IReadOnlyList<Pod>> PodsAsync(CancellationToken stop) =>
        client.ListAllAsync<Pod>(Kinds.Pod, istioNamespace, new ListOptions { LabelSelector = "app=istiod" }, stop);

    /// <summary>Each control plane's response to a debug path, as JSON, or why there is none: no page is one that all have. Control planes of Istio lack
    /// some, older ones others, and any can be out of reach.</summary>
    /// <exception cref="ProblemException">None is ready, or none of them can be reached.</exception>
    public Task<IReadOnlyList<PlaneAnswer>> AskControlPlanesAsync(string path, CancellationToken stop) =>
        AskControlPlanesAsync(new PodRequest("GET", path), stop);

    /// <summary>As <see cref="AskControlPlanesAsync(string, CancellationToken)"/>, with the answers as records.</summary>
    public async Task<IReadOnlyList<PlaneReport<T>>> AskControlPlanesAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken stop)
        where T : class =>
        [.. (await AskControlPlanesAsync(path, stop)).Select(answer => answer.As(type))];

    /// <summary>As <see cref="AskControlPlanesAsync(string, CancellationToken)"/>, with the answers as lists of records.</summary>
    public async Task<IReadOnlyList<PlaneReport<IReadOnlyList<T>>>> ListOfControlPlanesAsync<T>(string path, JsonTypeInfo<T> item, CancellationToken stop)
        where T : class =>
        [.. (await AskControlPlanesAsync(path, stop)).Select(answer => answer.AsList(item))];

    /// <inheritdoc cref="AskControlPlanesAsync(string, CancellationToken)"/>
    public async Task<IReadOnlyList<PlaneAnswer>> AskControlPlanesAsync(PodRequest request, CancellationToken stop)
    {
        var (answers, failures) = await EachAsync(request, stop);
        if (failures.Count == answers.Count) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failures[0]);
        return answers;
    }

    /// <summary>As <see cref="AskControlPlanesAsync(string, CancellationToken)"/>, also where none of them can be reached.</summary>
    /// <exception cref="ProblemException">None is ready.</exception>
    public async Task<IReadOnlyList<PlaneAnswer>> AskEachControlPlaneAsync(string path, CancellationToken stop) =>
        (await EachAsync(new PodRequest("GET", path), stop)).Answers;

    private async Task<(IReadOnlyList<PlaneAnswer> Answers, IReadOnlyList<Exception> Failures)> EachAsync(PodRequest request, CancellationToken stop)
    {
        var pods = await ControlPlanesAsync(stop);
        var failures = new List<Exception>();
        var answers = await Task.WhenAll(pods.Select(async pod =>
        {
            var plane = PlaneAnswer.Of(pod);
            try
            {
                return plane with
                {
                    Answer = await AskAsync(pod.Metadata.Namespace, pod.Metadata.Name, ControlPlane, request, stop)
                };
            }
            catch (NoSuchPageException e)
            {
                return plane with { Why = plane.Foreign, Said = e.Said };
            }
            catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
            {
                lock (failures) failures.Add(e);
                return plane with { Why = e is ProblemException known ? known.Problem.Message : e.Message };
            }
        }));
        return (answers, failures);
    }

    /// <summary>Says that a control plane cannot tell something.</summary>
    /// <param name="remedy">What tells it instead, where it is not of Isthmus.</param>
    public Problem Unknown(PlaneAnswer silent, string what, string remedy = "ask it with the command of its own release") =>
        new("", $"Pod {istioNamespace}/{silent.Pod}", "", $"{silent.Why}: {what} is not known", silent.IsForeign ? remedy : "", Severity.Info);

    /// <summary>What control planes find wrong with objects and proxies.</summary>
    public async Task<IEnumerable<Problem>> ProblemsAsync(CancellationToken stop)
    {
        var answers = await ListOfControlPlanesAsync("/debug/problemz", ControlPlaneReports.Default.ProblemReport, stop);
        return answers.Select(answer => answer.Silent).OfType<PlaneAnswer>().Select(silent => Unknown(silent, "what it finds wrong with objects and proxies"))
            .Concat(answers.SelectMany(answer => answer.Page ?? []).Select(Read)).Distinct();
    }

    private static Problem Read(ProblemReport line) => new(line.Code, line.Object, line.Path, line.Message, line.Remedy,
        Enum.TryParse<Severity>(line.Severity, out var severity) ? severity : Severity.Error);

    /// <summary>The clusters that control planes here watch, as they say.</summary>
    public async Task<WatchedClusters> WatchedAsync(CancellationToken stop)
    {
        var answers = await ListOfControlPlanesAsync("/debug/clusterz", ControlPlaneReports.Default.WatchedReport, stop);
        return new([.. answers.SelectMany(answer => answer.Page ?? []).Select(WatchedCluster.Read)],
            [.. answers.Select(answer => answer.Silent).OfType<PlaneAnswer>().Select(silent => Unknown(silent, "which clusters it watches"))])
            {
                IsKnown = answers.Any(answer => answer.Page is not null),
                IsFinal = answers.All(answer => answer.Page is not null || answer.Plane.IsForeign),
            };
    }

    /// <summary>Whether a proxy has accepted all that the control planes here have sent it; false also when it is connected to none of them. Null when one of
    /// them does not tell.</summary>
    /// <param name="proxy">POD.NAMESPACE.</param>
    public async Task<bool?> FollowsAsync(string proxy, CancellationToken stop)
    {
        var answers = await ListOfControlPlanesAsync("/debug/syncz", ControlPlaneReports.Default.SyncReport, stop);
        var own = answers.SelectMany(answer => answer.Page ?? []).Where(line => line.Proxy == proxy).ToList();
        if (own.Count > 0) return own.Exists(line => line.IsSynced);
        return answers.All(answer => answer.Page is not null) ? false : null;
    }

    /// <summary>
    /// Where the control plane that a proxy is connected to got its addresses. Null when no control plane can be queried
    /// here, or none of them tells: the proxy's own data can be shown without it.
    /// </summary>
    public async Task<SourcesReport?> AskSourcesAsync(string proxy, CancellationToken stop)
    {
        try
        {
            return (await AskControlPlanesAsync($"/debug/sourcez?proxyID={proxy}", ControlPlaneReports.Default.SourcesReport, stop))
                .Select(answer => answer.Page).FirstOrDefault(page => page is { Connected: true });
        }
        catch (ProblemException)
        {
            return null;
        }
    }

    /// <summary>A GET response of a proxy's admin interface, as JSON.</summary>
    public Task<JsonNode> AskProxyAsync(string ns, string pod, string path, CancellationToken stop) => AskAsync(ns, pod, Proxy, new("GET", path), stop);

    /// <summary>Has a Pod make a call. Beside an Envoy, the agent of Isthmus does it.</summary>
    public Task<CallReport> CallAsync(string ns, string pod, bool isEnvoy, CallQuestion question, CancellationToken stop) =>
        AskAsync(ns, pod, isEnvoy ? Agent : Proxy, new("POST", question.Request), ProxyReports.Default.CallReport, stop);

    /// <summary>Has a Pod make a call, whichever its proxy is. Beside an Envoy, the agent of Isthmus does it.</summary>
    /// <exception cref="ProblemException">Nobody in the Pod does.</exception>
    public async Task<CallReport> CallAnywhereAsync(string ns, string pod, CallQuestion question, CancellationToken stop)
    {
        try
        {
            return await CallAsync(ns, pod, isEnvoy: false, question, stop);
        }
        catch (NoSuchPageException)
        {
            return await CallAsync(ns, pod, isEnvoy: true, question, stop);
        }
    }

    /// <summary>The requests with a mark that a proxy saw lately, and TCP connections.</summary>
    public Task<IReadOnlyList<SeenReport>> RecentAsync(string ns, string pod, string mark, CancellationToken stop) =>
        AskAsync(ns, pod, Proxy, new("GET", SeenReport.Request(mark)), ProxyReports.Default.Recent, stop);

    /// <summary>Has a Pod open a connection past capture. Beside an Envoy, the agent of Isthmus does it.</summary>
    /// <exception cref="ProblemException">Nobody in the Pod does.</exception>
    public async Task<ReachReport> ReachAsync(string ns, string pod, string request, CancellationToken stop)
    {
        try
        {
            return await AskAsync(ns, pod, Proxy, new("POST", request), ProxyReports.Default.ReachReport, stop);
        }
        catch (NoSuchPageException)
        {
            return await AskAsync(ns, pod, Agent, new("POST", request), ProxyReports.Default.ReachReport, stop);
        }
    }

    /// <summary>The configuration of a proxy, its clusters, and what is known of its Pod. A proxy of Isthmus says all; an Envoy says the first two, and
    /// the agent of Isthmus beside it the last.</summary>
    /// <param name="about">What is asked of the Pod: <c>host=NAME</c> or <c>names=true</c>.</param>
    public async Task<InspectReport> InspectAsync(string ns, string pod, string about, CancellationToken stop)
    {
        try
        {
            return await AskAsync(ns, pod, Proxy, new("GET", InspectReport.Request(about)), ProxyReports.Default.InspectReport, stop);
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            var (dump, clusters, agent) = (AskProxyAsync(ns, pod, "/config_dump?include_eds", stop), AskProxyAsync(ns, pod, "/clusters?format=json", stop),
                PodAsync(ns, pod, about, stop));
            return new(await dump as JsonObject, await clusters as JsonObject, await agent);
        }
    }

    /// <summary>Null if the agent is not of Isthmus.</summary>
    private async Task<PodReport?> PodAsync(string ns, string pod, string about, CancellationToken stop)
    {
        try
        {
            return (await AskAsync(ns, pod, Agent, new("GET", InspectReport.Request(about)), ProxyReports.Default.InspectReport, stop)).Pod;
        }
        catch (Exception e) when (e is ProblemException or KubeException or HttpRequestException)
        {
            return null;
        }
    }

    /// <summary>A response of a proxy's admin interface that is text.</summary>
    public async Task<string> AskProxyTextAsync(string ns, string pod, string method, string path, CancellationToken stop) =>
        (await AskTextAsync(ns, pod, Proxy, new(method, path), stop)).Body;

    /// <summary>Resolves <c>NAME[.NAMESPACE]</c>, <c>deployment/NAME[.NAMESPACE]</c>, <c>service/NAME[.NAMESPACE]</c> or a Deployment's name to a
    /// Pod, a ready one if there is one.</summary>
    /// <exception cref="ProblemException">The object does not exist, or has no Pod.</exception>
    public async Task<(string Namespace, string Pod)> ResolvePodAsync(string reference, string? ns, CancellationToken stop)
    {
        (var kind, var name, ns) = PartsOf(reference, ns);
        switch (kind)
        {
            case "":
                if (await client.FindAsync<Pod>(Kinds.Pod, ns, name, stop) is not null) return (ns, name);
                return (ns, await PodOfDeploymentAsync(ns, name, stop) ?? throw Missing(Kinds.Pod, ns, name, "; name one as POD.NAMESPACE"));
            case "pod" or "pods" or "po":
                return await client.FindAsync<Pod>(Kinds.Pod, ns, name, stop) is not null
                    ? (ns, name)
                    : throw Missing(Kinds.Pod, ns, name, "; name one as POD.NAMESPACE");
            case "deployment" or "deployments" or "deploy":
                return (ns, await PodOfDeploymentAsync(ns, name, stop) ?? throw Missing(Kinds.Deployment, ns, name));
            case "service" or "services" or "svc":
                var service = await client.FindAsync<Service>(Kinds.Service, ns, name, stop) ?? throw Missing(Kinds.Service, ns, name);
                return (ns, service.Spec.Selector.Count == 0 ? throw Empty(Kinds.Service, ns, name)
                    : await PodAsync(Kinds.Service, ns, name,
                        pod => service.Spec.Selector.All(pair => pod.Metadata.Labels.GetValueOrDefault(pair.Key) == pair.Value), stop));
            default:
                throw new ProblemException($"'{reference}'", $"kind '{kind}' is not supported here",
                    "name a Pod as POD.NAMESPACE, or use deployment/NAME.NAMESPACE or service/NAME.NAMESPACE");
        }
    }

    /// <returns>Null: there is no such Deployment.</returns>
    private async Task<string?> PodOfDeploymentAsync(string ns, string name, CancellationToken stop) =>
        await client.FindAsync<Deployment>(Kinds.Deployment, ns, name, stop) is not { } deployment ? null
            : deployment.Spec.Replicas == 0 ? throw new NoPodException($"Deployment {ns}/{name} in {client.Access.Name}", "has no Pod: spec.replicas is 0",
                $"kubectl --context={client.Access.Name} -n {ns} scale deployment {name} --replicas=1")
            : await PodAsync(Kinds.Deployment, ns, name, pod => deployment.Spec.Selector.Matches(pod.Metadata.Labels), stop);

    private async Task<string> PodAsync(ResourceKind kind, string ns, string name, Func<Pod, bool> isIts, CancellationToken stop) =>
        (await client.ListAllAsync<Pod>(Kinds.Pod, ns, new ListOptions(), stop)).Where(pod => isIts(pod) && pod.Metadata.DeletionTimestamp is null)
            .OrderByDescending(pod => pod.Status.IsReady).FirstOrDefault()?.Metadata.Name ?? throw Empty(kind, ns, name);

    private ProblemException Missing(ResourceKind kind, string ns, string name, string more = "") =>
        new($"{kind.Kind} {ns}/{name} in {client.Access.Name}", "does not exist",
        $"list {kind.Kind}s with 'kubectl --context={client.Access.Name} -n {ns} get {kind.Plural}'{more}");

    private NoPodException Empty(ResourceKind kind, string ns, string name) => new($"{kind.Kind} {ns}/{name} in {client.Access.Name}", "has no Pod",
        $"see why with 'kubectl --context={client.Access.Name} -n {ns} describe {kind.Kind.ToLowerInvariant()} {name}'");

    /// <summary>The namespace of a reference that <see cref="ResolvePodAsync"/> takes.</summary>
    public string NamespaceOf(string reference, string? ns) => PartsOf(reference, ns).Namespace;

    private (string Kind, string Name, string Namespace) PartsOf(string reference, string? ns)
    {
        var (kind, name) = reference.Split('/', 2) is [var left, var right] ? (left, right) : ("", reference);
        // Pod names rarely contain dots, so the first dot begins the namespace.
        return name.IndexOf('.', StringComparison.Ordinal) is var dot and > 0
            ? (kind, name[..dot], name[(dot + 1)..])
            : (kind, name, ns ?? client.Access.Namespace);
    }

    private Task<JsonNode> AskAsync(string ns, string pod, Endpoint endpoint, PodRequest request, CancellationToken stop) =>
        AskAsync(ns, pod, endpoint, request, "JSON", body => StrictJson.Parse(body) ?? new JsonObject(), stop);

    private Task<T> AskAsync<T>(string ns, string pod, Endpoint endpoint, PodRequest request, JsonTypeInfo<T> type, CancellationToken stop) =>
        AskAsync(ns, pod, endpoint, request, "what this program reads", body => StrictJson.Parse(body, type), stop);

    private async Task<T> AskAsync<T>(string ns, string pod, Endpoint endpoint, PodRequest request, string form, Func<string, T> read, CancellationToken stop)
    {
        var (what, body) = await AskTextAsync(ns, pod, endpoint, request, stop);
        try
        {
            return read(body);
        }
        catch (JsonException e)
        {
            throw new ProblemException($"Pod {ns}/{pod}", $"'{what}' did not return {form}: {e.Message}", "", e);
        }
    }

    /// <summary>
    /// Forwards the port, which needs no process in the Pod. Where the API server does not forward (by its roles, or because it is
    /// older), the container's own program asks.
    /// </summary>
    private async Task<(string What, string Body)> AskTextAsync(string ns, string pod, Endpoint endpoint, PodRequest request, CancellationToken stop)
    {
        var what = $"{request.Method} {request.Path} on port {endpoint.Port}";
        try
        {
            var (status, body) = await client.Pods.SendAsync(ns, pod, endpoint.Port, request with { Patience = Patience }, stop);
            if (status == 404) throw new NoSuchPageException($"Pod {ns}/{pod}", what, body.Trim());
            if (status is < 200 or > 299) throw new ProblemException($"Pod {ns}/{pod}", $"responded to {what} with status {status}: {body.Trim()}");
            return (what, body);
        }
        catch (HttpRequestException e)
        {
            throw new ProblemException($"Pod {ns}/{pod}", $"does not respond to {what}: {e.InnerException?.Message ?? e.Message}",
                $"check that the container {endpoint.Container} is running", e);
        }
        catch (KubeException e) when (!e.IsNotFound && request.Body is null)
        {
            return await ExecAsync(ns, pod, endpoint, request.Method, request.Path, stop);
        }
    }

    private async Task<(string Command, string Body)> ExecAsync(string ns, string pod, Endpoint endpoint, string method, string path, CancellationToken stop)
    {
        string[] command = [endpoint.Program, "request", method, path];
        var line = string.Join(' ', command);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var longest = Patience > ProgramPatience ? Patience : ProgramPatience;
        patience.CancelAfter(longest);
        try
        {
            var result = await PodExec.RunAsync(client.Access, ns, pod, endpoint.Container, command, patience.Token);
            return result.ExitCode == 0 ? (line, result.Output)
                : throw new ProblemException($"Pod {ns}/{pod}", $"'{line}' failed: "
                    + $"{(result.Error.Length > 0 ? result.Error.Trim() : $"exit code {result.ExitCode}")}");
        }
        catch (OperationCanceledException e) when (!stop.IsCancellationRequested)
        {
            throw new ProblemException($"Pod {ns}/{pod}", $"'{line}' has not ended within {longest.TotalSeconds:0} s", "", e);
        }
    }

    /// <summary>Where a container answers on its loopback address, and the program in it that can ask.</summary>
    private sealed record Endpoint(string Container, string Program, int Port);
}

/// <summary>A program has no page of that name.</summary>
/// <param name="said">What it says instead.</param>
internal sealed class NoSuchPageException(string pod, string what, string said = "") : ProblemException(pod, $"responded to {what} with status 404")
{
    internal string Said => said;
}
