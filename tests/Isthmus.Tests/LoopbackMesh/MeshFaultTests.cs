using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Overflows;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>Faults that come and go while a mesh runs: what load does to pools and endpoints, and what operators do to the parts that all share.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class MeshFaultTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private const string System = "istio-system", DnsNamespace = "kube-system";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>The calls that fail are over when somebody asks.</summary>
    [Fact]
    public async Task A_pool_that_has_refused_calls_is_remembered()
    {
        await services.ReadyAsync(mesh);
        await TracedAsync("$narrowed/status/200", "✔ The call gets through.");
        var storm = Task.WhenAll(Enumerable.Range(0, 12).Select(_ => TraceAsync("$narrowed/delay/600")));
        Assert.Contains(await storm,
            text => text.Contains("(ISM2079)", StringComparison.Ordinal)
                && text.Contains(services.Fill("object  DestinationRule $ns/$narrowed in cluster1"), StringComparison.Ordinal));
        await TracedAsync("$narrowed/status/200", "✔ The call gets through.", "ISM2097 DestinationRule $ns/$narrowed in cluster1");
        // Proxies tell it to their control plane, and so do analyze, verify and the console to whoever did not make the call.
        var rule = services.Fill("DestinationRule $ns/$narrowed");
        await mesh.UntilAsync(
            async () => (await mesh.AnalyzeAsync()).Where(finding => (finding.Problem.Code, finding.Problem.Object) == (RefusedProblems.Code, rule))
                .Select(finding => $"{finding.Problem.Path}: {finding.Problem.Message}").FirstOrDefault(""),
            text => text.StartsWith("spec.trafficPolicy.connectionPool: its limits have refused ", StringComparison.Ordinal), "analyze says so");
        Assert.Contains(await mesh.VerifyAsync(), problem => (problem.Code, problem.Object) == (RefusedProblems.Code, rule));
    }

    [Fact]
    public async Task An_ejection_says_which_answers_caused_it()
    {
        await services.ReadyAsync(mesh);
        // A trace that could not read everything asks again, when the endpoint may have gone already.
        await mesh.UntilAsync(() => TraceAsync("$frail/status/503"),
            text => text.Contains("(ISM2073)", StringComparison.Ordinal) || text.Contains("(ISM2040)", StringComparison.Ordinal),
            "answers that count against the endpoint");
        await TracedAsync("$frail/status/200", "✘ The call fails at: endpoints", "object  Pod $ns/$speaker-", "responded with status 503; ", "(ISM2073)",
            "5xx of the application");
    }

    [Fact]
    public async Task A_policy_of_the_root_namespace_without_rules_is_named_as_that_of_all()
    {
        await services.ReadyAsync(mesh);
        var name = services.Name("everywhere");
        await mesh.ApplyAsync("cluster1",
            $"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: {System}}}\nspec: {{}}\n");
        try
        {
            await TracedAsync("$bin/status/200", "(ISM2064)", "object  AuthorizationPolicy istio-system/$everywhere in cluster1", "has no rules");
        }
        finally
        {
            await mesh.Client("cluster1").DeleteAsync(Manifests.ResourceOf(MeshApi.AuthorizationPolicy), System, name, Stop);
            await TracedAsync("$bin/status/200", "✔ The call gets through.");
        }
    }

    [Fact]
    public async Task An_injector_whose_Service_selects_nothing_is_named()
    {
        await SelectAsync("nobody");
        try
        {
            await VerifiedAsync("ISM1008 ");
        }
        finally
        {
            await SelectAsync("istiod");
            await mesh.UntilAsync(VerifyAsync, text => !text.Contains("ISM1008", StringComparison.Ordinal), "the injector has endpoints again");
        }
    }

    [Fact]
    public async Task A_cluster_whose_DNS_is_away_is_named()
    {
        await services.ReadyAsync(mesh);
        await mesh.ApplyAsync("cluster1", """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: coredns, namespace: kube-system}
            spec:
              replicas: 0
              selector: {matchLabels: {k8s-app: kube-dns}}
              template:
                metadata: {labels: {k8s-app: kube-dns}}
                spec: {containers: [{name: coredns, image: coredns}]}
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
            spec: {selector: {k8s-app: kube-dns}, ports: [{name: dns, port: 53, protocol: UDP}]}
            """);
        try
        {
            await VerifiedAsync("ISM1033 ");
            await TracedAsync("outside.example.net/", "(ISM2048)", "object  Deployment kube-system/coredns in cluster1", "it is the DNS of cluster1");
        }
        finally
        {
            await mesh.Client("cluster1").DeleteAsync(Kinds.Service, DnsNamespace, "kube-dns", Stop);
            await mesh.Client("cluster1").DeleteAsync(Kinds.Deployment, DnsNamespace, "coredns", Stop);
        }
    }

    [Fact]
    public async Task Settings_of_the_mesh_that_stop_a_call_are_named()
    {
        await services.ReadyAsync(mesh);
        var client = mesh.Client("cluster1");
        var before = (await client.GetAsync(Kinds.ConfigMap, System, "istio", Stop))["data"]!["mesh"]!.ToString();
        try
        {
            // The Service of the authorizer has no port 81.
            await AskAsync("bin", 81);
            await TracedAsync("$asked/hello", "(ISM2064)", "object  AuthorizationPolicy $ns/$asked in cluster1", "at port 81 of Service $ns/$bin in cluster1",
                "set its port in data.mesh.extensionProviders of ConfigMap istio-system/istio in cluster1");
            await mesh.UntilAsync(async () => string.Join('\n', (await mesh.AnalyzeAsync()).Select(found => found.Problem)),
                text => text.Contains(services.Fill("AuthorizationPolicy $ns/$asked"), StringComparison.Ordinal)
                    && text.Contains("which has no port 81", StringComparison.Ordinal), "analyze names the port of the provider");
            // It knows nothing of the path, and so refuses every call.
            await AskAsync("both", 18081, ("pathPrefix", "/unknown"));
            await TracedAsync("$asked/hello", "(ISM2094)", "object  AuthorizationPolicy $ns/$asked in cluster1", "leaves the decision to $nobody",
                "it was asked for /unknown/hello, because pathPrefix is /unknown");
            // Its policy denies whoever calls.
            await AskAsync("closed", 80);
            await TracedAsync("$asked/hello", "(ISM2064)", "object  AuthorizationPolicy $ns/$closed in cluster1", "has no rules, so it allows nobody",
                "this call is the check that Pod $ns/$asked", "to which AuthorizationPolicy $ns/$asked in cluster1 leaves the decision (ext_authz_denied)");
            // It gets the same path, and answers after two seconds.
            await AskAsync("bin", 80, ("timeout", "0.5s"));
            await TracedAsync("$asked/delay/2", "(ISM2094)", "object  ConfigMap istio-system/istio in cluster1",
                "field   data.mesh.extensionProviders[$nobody].timeout", "had not answered the check of Pod $ns/$asked");
            await SetAsync(before, "discoverySelectors", new JsonArray(new JsonObject
            {
                ["matchExpressions"] = new JsonArray(new JsonObject
                {
                    ["key"] = "kubernetes.io/metadata.name", ["operator"] = "NotIn", ["values"] = new JsonArray(services.Name("other")),
                }),
            }));
            await TracedAsync("$guarded.$other/hello", "(ISM2105)", "object  ConfigMap istio-system/istio in cluster1", "field   data.mesh.discoverySelectors",
                "selects no label of namespace $other");
        }
        finally
        {
            await SetAsync(before, null, null);
            await TracedAsync("$guarded.$other/hello", "✔ The call gets through.");
        }

        Task AskAsync(string authorizer, int port, params IEnumerable<(string Name, string Value)> more) =>
            SetAsync(before, "extensionProviders", new JsonArray(new JsonObject
            {
                ["name"] = services.Name("nobody"),
                ["envoyExtAuthzHttp"] = new JsonObject([new("service", services.Fill($"${authorizer}.$ns.svc.cluster.local")), new("port", port),
                    .. more.Select(setting => KeyValuePair.Create(setting.Name, (JsonNode?)setting.Value))]),
            }));
    }

    private Task SetAsync(string settings, string? field, JsonNode? value)
    {
        var config = (JsonObject)YamlText.Parse(settings, "mesh")!;
        if (field is not null) config[field] = value;
        return mesh.PatchAsync("cluster1", Kinds.ConfigMap, System, "istio", new() { ["data"] = new JsonObject { ["mesh"] = YamlText.Print(config) } });
    }

    private Task SelectAsync(string app) =>
        mesh.PatchAsync("cluster1", Kinds.Service, System, "istiod", new() { ["spec"] = new JsonObject { ["selector"] = new JsonObject { ["app"] = app } } });

    private Task VerifiedAsync(string problem) =>
        mesh.UntilAsync(VerifyAsync, text => text.Split('\n').Any(line => line.StartsWith(problem, StringComparison.Ordinal)), $"verify finds {problem}");

    private async Task<string> VerifyAsync() => string.Join('\n', (await mesh.VerifyAsync()).Select(found => $"{found.Code} {found}"));

    private async Task<string> TraceAsync(string target) =>
        TraceText.Write(await mesh.TraceAsync($"deployment/{services.Name("caller")}", services.Name("ns"), services.Fill(target)), details: false);

    private Task TracedAsync(string target, params string[] parts) => mesh.UntilAsync(() => TraceAsync(target),
        text => parts.All(part => text.Contains(services.Fill(part), StringComparison.Ordinal)),
        $"{services.Fill(target)}: {services.Fill(string.Join(" | ", parts))}");
}
