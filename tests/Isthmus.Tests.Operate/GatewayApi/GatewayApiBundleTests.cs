using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Operate.MeshFile;
using Isthmus.Rigs.Servers;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.GatewayApi;

/// <summary>The definitions of the Gateway API that an installation brings, with an API server in this process.</summary>
public sealed class GatewayApiBundleTests
{
    private const string Routes = "httproutes.gateway.networking.k8s.io";

    private static readonly ResourceKind Route = Manifests.ResourceOf(MeshApi.HttpRoute), Class = Manifests.ResourceOf(MeshApi.GatewayClass);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("profile=minimal", 0)]
    [InlineData("profile=minimal,values.base.enableGatewayAPICRDs=false", 0)]
    [InlineData("profile=minimal,values.base.enableGatewayAPICRDs=true", 12)]
    [InlineData("profile=remote,values.global.remotePilotAddress=192.0.2.1,values.base.enableGatewayAPICRDs=true", 12)]
    [InlineData("profile=empty,values.base.enableGatewayAPICRDs=true", 0)]
    public void Only_who_asks_for_the_definitions_gets_them(string flags, int objects)
    {
        var components = Manifests.Render(OperatorSpec.Build([], flags.Split(','), null));
        var component = components.FirstOrDefault(component => component.Name == GatewayApiBundle.Component);
        Assert.Equal(objects, component?.Objects.Count ?? 0);
    }

    [Fact]
    public void A_setting_that_is_neither_true_nor_false_is_refused()
    {
        var wrong = Assert.Throws<ProblemException>(() => OperatorSpec.Build([], ["values.base.enableGatewayAPICRDs=soon"], null));
        Assert.Contains("values.base.enableGatewayAPICRDs", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Definitions_and_the_policy_are_installed_and_objects_are_judged_by_them()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await InstallAsync(client);
        foreach (var definition in GatewayApiCrds.All) Assert.NotNull(await FindAsync(client, definition["metadata"]!["name"]!.ToString()));
        const string wrong = """{"metadata": {"name": "r", "namespace": "default"}, "spec": {"hostnames": ["A_B"]}}""";
        var refused = await Assert.ThrowsAsync<KubeException>(() => CreateAsync(client, Route, wrong));
        Assert.Contains("spec.hostnames[0]", refused.Message, StringComparison.Ordinal);
        var route = await CreateAsync(client, Route, """{"metadata": {"name": "r", "namespace": "default"}, "spec": {"rules": [{}]}}""");
        Assert.Equal("PathPrefix", route["spec"]!["rules"]![0]!["matches"]![0]!["path"]!["type"]!.ToString());

        // The policy keeps older and experimental definitions away.
        foreach (var (annotation, value, ours) in ((string, string, string)[])
            [(GatewayApiCrds.ChannelAnnotation, "experimental", "standard"), (GatewayApiCrds.VersionAnnotation, "v1.5.1", "v1.6.1")])
        {
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    await AnnotateAsync(client, Routes, annotation, value);
                    return false;
                }
                catch (KubeException e) when (e.Message.Contains(GatewayApiCrds.PolicyName, StringComparison.Ordinal))
                {
                    return true;
                }
                finally
                {
                    await AnnotateAsync(client, Routes, annotation, ours);
                }
            });
        }
        await AnnotateAsync(client, Routes, GatewayApiCrds.VersionAnnotation, "v1.7.0");
    }

    [Theory]
    [InlineData("v1.7.0", "standard", "bundle-version", "is 'v1.7.0', which is newer than v1.6.1, and v1.6.1 would replace it")]
    [InlineData("v1.6.2-rc.1", "standard", "bundle-version", "is 'v1.6.2-rc.1', which is newer than v1.6.1, and v1.6.1 would replace it")]
    [InlineData("v2.0.0", "standard", "bundle-version", "is 'v2.0.0', which is newer than v1.6.1, and v1.6.1 would replace it")]
    [InlineData("latest", "standard", "bundle-version", "is 'latest', which is not a version, so it cannot be compared with v1.6.1")]
    [InlineData("", "standard", "bundle-version", "is missing, so the definition cannot be compared with v1.6.1")]
    [InlineData("v1.0.0", "experimental", "channel", "is 'experimental', and the channel 'standard' would replace it")]
    [InlineData("v1.6.1", "", "channel",
        "is missing, so the definition may be of another channel than 'standard', which would replace it")]
    public async Task Newer_and_other_definitions_are_not_replaced(string version, string channel, string annotation, string message)
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await PresentAsync(client, version, channel);
        var spec = Spec();
        var found = await new GatewayApiBundle(client).FindProblemAsync(Manifests.Render(spec), Stop);
        Assert.Equal($"CustomResourceDefinition {Routes} in {client.Access.Name}: metadata.annotations[gateway.networking.k8s.io/{annotation}]: {message} "
            + "(the mesh uses the definitions that are there: set values.base.enableGatewayAPICRDs to false (in a mesh file: gatewayApi.install))",
            found!.ToString());
        var before = await FindAsync(client, Routes);
        var installer = new Installer(client, TimeProvider.System, Unheard.Instance);
        var refused = await Assert.ThrowsAsync<ProblemException>(() => installer.InstallAsync(spec, TimeSpan.Zero, Stop));
        Assert.Equal(found, refused.Problem);
        Assert.True(JsonNode.DeepEquals(before, await FindAsync(client, Routes)));
        Assert.Null(await FindAsync(client, "grpcroutes.gateway.networking.k8s.io"));
        // Whoever does not ask for the definitions is not asked about those that are there.
        Assert.Null(await new GatewayApiBundle(client).FindProblemAsync(Manifests.Render(OperatorSpec.Build([], ["profile=minimal"], null)), Stop));
    }

    [Theory]
    [InlineData("v1.5.1")]
    [InlineData("v1.6.1-rc.2")]
    [InlineData("v1.6.1")]
    public async Task Older_definitions_are_replaced_and_still_belong_to_whoever_installed_them(string version)
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await PresentAsync(client, version, "standard");
        await InstallAsync(client);
        var definition = (await FindAsync(client, Routes))!;
        Assert.Equal(GatewayApiCrds.BundleVersion, definition["metadata"]!["annotations"]![GatewayApiCrds.VersionAnnotation]!.ToString());
        Assert.NotNull(definition["spec"]!["versions"]![0]!["schema"]!["openAPIV3Schema"]!["properties"]!["spec"]!["properties"]!["rules"]);
        Assert.Equal("""{"by":"user"}""", definition["metadata"]!["labels"]!.ToJsonString());

        var plan = await new Uninstaller(client).PlanPurgeAsync(Stop);
        Assert.DoesNotContain(plan, removal => removal.Name == Routes);
        Assert.Contains(plan, removal => removal.Name == "grpcroutes.gateway.networking.k8s.io");
    }

    [Fact]
    public async Task A_purge_leaves_what_holds_objects_of_others()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await InstallAsync(client);
        var built = GatewayClasses.BuiltIn[0];
        await CreateAsync(client, Class, $$$"""{"metadata": {"name": "{{{built.Name}}}"}, "spec": {"controllerName": "{{{built.Controller}}}"}}""");
        var (bundle, plan) = (new GatewayApiBundle(client), await new Uninstaller(client).PlanPurgeAsync(Stop));
        Assert.Equal(12, plan.Count(GatewayApiBundle.IsPart));
        Assert.Empty(await bundle.HeldAsync(plan, Stop));

        await CreateAsync(client, Route, """{"metadata": {"name": "r", "namespace": "default"}, "spec": {}}""");
        var held = await bundle.HeldAsync(plan, Stop);
        Assert.Equal(["1 × HTTPRoute: default/r"], Bystander.Describe(held));
        var rest = GatewayApiBundle.Without(plan, held);
        Assert.Equal(9, rest.Count(GatewayApiBundle.IsPart));
        await new Uninstaller(client).RunAsync(rest, _ => { }, Stop);
        Assert.NotNull(await client.FindAsync(Route, "default", "r", Stop));
        Assert.NotNull(await client.FindAsync(Kinds.ValidatingAdmissionPolicy, null, GatewayApiCrds.PolicyName, Stop));
        // The API server removes the objects of a definition first.
        await Eventually.TrueAsync(async () => await FindAsync(client, "grpcroutes.gateway.networking.k8s.io") is null);
    }

    /// <summary>Nobody serves them any more, and whoever owns the definitions did not ask for them.</summary>
    [Fact]
    public async Task A_purge_takes_the_classes_of_control_planes_from_definitions_of_others()
    {
        await using var cluster = new LoopbackCluster();
        var client = await cluster.StartAsync();
        await InstallAsync(client);
        var built = GatewayClasses.BuiltIn[0];
        await CreateAsync(client, Class, $$$"""{"metadata": {"name": "{{{built.Name}}}"}, "spec": {"controllerName": "{{{built.Controller}}}"}}""");
        await CreateAsync(client, Class, $$$"""{"metadata": {"name": "mine"}, "spec": {"controllerName": "{{{built.Controller}}}"}}""");
        var plan = (await new Uninstaller(client).PlanPurgeAsync(Stop)).Where(removal => !GatewayApiBundle.IsPart(removal)).ToList();
        Assert.Equal([$"GatewayClass {built.Name}"], plan.Where(removal => removal.Kind.Kind == "GatewayClass").Select(removal => removal.ToString()));
        await new Uninstaller(client).RunAsync(plan, _ => { }, Stop);
        Assert.Equal(["mine"], (await client.ListAllAsync<JsonObject>(Class, null, new(), Stop)).Select(item => item["metadata"]!["name"]!.ToString()));
    }

    private static OperatorSpec Spec() => OperatorSpec.Build([], ["profile=minimal", "values.base.enableGatewayAPICRDs=true"], null);

    private static async Task InstallAsync(KubeClient client)
    {
        var objects = Manifests.Render(Spec()).Single(component => component.Name == GatewayApiBundle.Component).Objects;
        await new Applier(client, TimeProvider.System).ApplyAsync(objects, Stop);
    }

    /// <summary>A definition that somebody else installed, in short.</summary>
    private static Task PresentAsync(KubeClient client, string version, string channel)
    {
        var definition = GatewayApiCrds.All.Single(one => one["metadata"]!["name"]!.ToString() == Routes);
        definition["metadata"]!["labels"] = new JsonObject { ["by"] = "user" };
        foreach (var (name, value) in ((string, string)[])[(GatewayApiCrds.VersionAnnotation, version), (GatewayApiCrds.ChannelAnnotation, channel)])
        {
            if (value.Length > 0) definition["metadata"]!["annotations"]![name] = value;
            else definition["metadata"]!["annotations"]!.AsObject().Remove(name);
        }
        foreach (var one in definition["spec"]!["versions"]!.AsArray())
            one!["schema"]!["openAPIV3Schema"]!["properties"]!["spec"] = JsonNode.Parse("""{"type": "object", "x-kubernetes-preserve-unknown-fields": true}""");
        return new Applier(client, TimeProvider.System).ApplyAsync([definition], Stop);
    }

    private static Task AnnotateAsync(KubeClient client, string name, string annotation, string value)
    {
        var patch = new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { [annotation] = value } } };
        return client.PatchAsync(Kinds.CustomResourceDefinition, null, name, patch, PatchType.Merge, Stop);
    }

    private static Task<JsonObject?> FindAsync(KubeClient client, string name) => client.FindAsync(Kinds.CustomResourceDefinition, null, name, Stop);

    /// <summary>API servers serve a version a moment after its definition is stored.</summary>
    private static Task<JsonObject> CreateAsync(KubeClient client, ResourceKind kind, string json)
    {
        var value = JsonNode.Parse(json)!.AsObject();
        (value["apiVersion"], value["kind"]) = (kind.ApiVersion, kind.Kind);
        return Eventually.ValueAsync(async () =>
        {
            try { return await client.CreateAsync(kind, value, Stop); }
            catch (KubeException e) when (e.IsNotFound) { return null; }
        }, $"{kind.ApiVersion} is served");
    }
}
