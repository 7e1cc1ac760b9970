using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Admission;

public sealed class PodAdmissionTests : IDisposable
{
    private readonly StoreRig _rig = new();

    [Fact]
    public async Task A_Pod_gets_the_default_account_and_its_token_in_every_container()
    {
        await AccountAsync("default");
        var pod = await MutateAsync("""{"metadata": {"name": "p"}, "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "c"}]}}""");
        Assert.Equal("default", pod.TextAt("spec", "serviceAccountName"));
        var volume = Assert.Single(Json.Objects(pod.At("spec", "volumes")));
        Assert.StartsWith("kube-api-access-", Json.Text(volume["name"]), StringComparison.Ordinal);
        Assert.All(Json.Objects(pod.At("spec", "containers")).Concat(Json.Objects(pod.At("spec", "initContainers"))), container =>
        {
            var mount = Assert.Single(Json.Objects(container["volumeMounts"]));
            Assert.Equal("/var/run/secrets/kubernetes.io/serviceaccount", Json.Text(mount["mountPath"]));
            Assert.Equal(Json.Text(volume["name"]), Json.Text(mount["name"]));
        });
    }

    [Fact]
    public async Task A_second_round_serves_only_the_containers_that_came_since()
    {
        await AccountAsync("default");
        var plugin = new ServiceAccountAdmission(_rig.Objects, new Random(1));
        var request = Request("""{"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}""");
        await plugin.MutateAsync(request, default);
        ((JsonArray)request.Object.At("spec", "containers")!).Add((JsonNode)new JsonObject { ["name"] = "injected" });
        await plugin.MutateAsync(request, default);
        Assert.Single(Json.Objects(request.Object.At("spec", "volumes")));
        Assert.All(Json.Objects(request.Object.At("spec", "containers")), container => Assert.Single(Json.Objects(container["volumeMounts"])));
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("\"automountServiceAccountToken\": true,", true)]
    public async Task The_Pod_overrules_its_account_about_the_token(string wish, bool mounted)
    {
        await AccountAsync("default", "\"automountServiceAccountToken\": false");
        var pod = await MutateAsync($$$"""{"metadata": {"name": "p"}, "spec": { {{{wish}}} "containers": [{"name": "c"}]}}""");
        Assert.Equal(mounted, pod.At("spec", "volumes") is not null);
    }

    [Fact]
    public async Task A_missing_account_is_named()
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() =>
            MutateAsync("""{"metadata": {"name": "psa"}, "spec": {"serviceAccountName": "nosuch", "containers": []}}"""));
        Assert.Equal("pods \"psa\" is forbidden: error looking up service account n/nosuch: serviceaccount \"nosuch\" not found", refused.Message);
    }

    [Fact]
    public async Task A_priority_class_sets_the_priority()
    {
        await _rig.PutAsync(Resources.PriorityClasses, """{"metadata": {"name": "high"}, "value": 5, "preemptionPolicy": "Never"}""");
        var request = Request("""{"metadata": {"name": "p"}, "spec": {"priorityClassName": "high", "tolerations": [{"operator": "Exists"}]}}""");
        await new PodPlacementAdmission(_rig.Objects).MutateAsync(request, default);
        Assert.Equal(5, Json.Whole(request.Object.At("spec", "priority")));
        Assert.Equal("Never", request.Object.TextAt("spec", "preemptionPolicy"));
        Assert.Single(Json.Objects(request.Object.At("spec", "tolerations")));
    }

    [Fact]
    public async Task Namespaces_of_the_system_stay()
    {
        var request = _rig.Request(_rig.Kind("", "v1", "namespaces"), "DELETE", (JsonObject)JsonNode.Parse("""{"metadata": {"name": "kube-system"}}""")!);
        var refused = await Assert.ThrowsAsync<ApiException>(async () => await new NamespaceLifecycle().ValidateAsync(request, default));
        Assert.Equal("namespaces \"kube-system\" is forbidden: this namespace may not be deleted", refused.Message);
    }

    public void Dispose() => _rig.Dispose();

    private Task<StoredObject> AccountAsync(string name, string more = "\"secrets\": []") =>
        _rig.PutAsync(Resources.ServiceAccounts, $$"""{"metadata": {"name": "{{name}}", "namespace": "n"}, {{more}}}""");

    private AdmissionRequest Request(string pod) => _rig.Request(_rig.Kind("", "v1", "pods"), "CREATE", (JsonObject)JsonNode.Parse(pod)!);

    private async Task<JsonObject> MutateAsync(string pod)
    {
        var request = Request(pod);
        await new ServiceAccountAdmission(_rig.Objects, new Random(1)).MutateAsync(request, default);
        return request.Object!;
    }
}
