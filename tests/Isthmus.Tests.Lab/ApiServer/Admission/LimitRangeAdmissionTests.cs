using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Admission.Limits;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Admission;

/// <summary>What LimitRanges set and refuse, as LimitRanger of kube-apiserver does.</summary>
public sealed class LimitRangeAdmissionTests : IDisposable
{
    private readonly StoreRig _rig = new();
    private readonly LimitRangeAdmission _limits;

    public LimitRangeAdmissionTests() => _limits = new(_rig.Objects);

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Containers_get_what_they_do_not_say()
    {
        await RangeAsync("{\"type\": \"Container\", \"default\": {\"cpu\": \"500m\", \"memory\": \"512Mi\"}, \"defaultRequest\": {\"cpu\": \"100m\"}}");
        var pod = await MutatedAsync("""
            {"containers": [{"name": "app"}, {"name": "own", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}}],
             "initContainers": [{"name": "prepare", "resources": {"limits": {"memory": "64Mi"}}}]}
            """);
        Assert.Equal(
            ["""{"requests":{"cpu":"100m"},"limits":{"cpu":"500m","memory":"512Mi"}}""", """{"requests":{"cpu":"1"},"limits":{"cpu":"2","memory":"1Gi"}}"""],
            Json.Objects(pod.At("spec", "containers")).Select(container => container["resources"]!.ToJsonString()));
        Assert.Equal("LimitRanger plugin set: cpu request for init container prepare; cpu limit for init container prepare; cpu request for container app; "
            + "cpu, memory limit for container app", pod.TextAt("metadata", "annotations", "kubernetes.io/limit-ranger"));
        // Another round, as after a webhook that changed the Pod, finds nothing more to set.
        var again = await MutatedAsync(pod["spec"]!.ToJsonString());
        Assert.Null(again["metadata"]!["annotations"]);
    }

    [Theory]
    [InlineData("Container", "\"min\": {\"cpu\": \"100m\"}", "\"requests\": {\"cpu\": \"50m\"}", "minimum cpu usage per Container is 100m, but request is 50m")]
    [InlineData("Container", "\"min\": {\"cpu\": \"100m\"}", "\"requests\": {}", "minimum cpu usage per Container is 100m.  No request is specified")]
    [InlineData("Container", "\"max\": {\"memory\": \"1Gi\"}", "\"limits\": {\"memory\": \"2Gi\"}",
        "maximum memory usage per Container is 1Gi, but limit is 2Gi")]
    [InlineData("Container", "\"max\": {\"memory\": \"1Gi\"}", "\"limits\": {}", "maximum memory usage per Container is 1Gi.  No limit is specified")]
    [InlineData("Container", "\"maxLimitRequestRatio\": {\"cpu\": \"2\"}", "\"requests\": {\"cpu\": \"100m\"}, \"limits\": {\"cpu\": \"300m\"}",
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000")]
    [InlineData("Container", "\"maxLimitRequestRatio\": {\"cpu\": \"2\"}", "\"limits\": {\"cpu\": \"300m\"}",
        "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0")]
    [InlineData("Container", "\"min\": {\"cpu\": \"100m\"}, \"max\": {\"memory\": \"1Gi\"}",
        "\"requests\": {\"cpu\": \"50m\"}, \"limits\": {\"memory\": \"2Gi\"}",
        "[minimum cpu usage per Container is 100m, but request is 50m, maximum memory usage per Container is 1Gi, but limit is 2Gi]")]
    [InlineData("Pod", "\"max\": {\"cpu\": \"1\"}", "\"limits\": {\"cpu\": \"600m\"}", "maximum cpu usage per Pod is 1, but limit is 1200m")]
    [InlineData("Container", "\"max\": {\"cpu\": \"1\"}", "\"limits\": {\"cpu\": \"600m\"}", null)]
    [InlineData("PersistentVolumeClaim", "\"max\": {\"storage\": \"1Gi\"}", "", null)]
    public async Task What_is_outside_of_the_limits_is_refused_as_Kubernetes_says_it(string type, string limits, string resources, string? why)
    {
        await RangeAsync($"{{\"type\": \"{type}\", {limits}}}");
        // Both containers ask for the same.
        Assert.Equal(why is null ? null : $"pods \"p\" is forbidden: {why}", await WhyAsync("pods", $$$"""
            {"metadata": {"name": "p"},
              "spec": {"containers": [{"name": "a", "resources": { {{{resources}}} } }, {"name": "b", "resources": { {{{resources}}} } }]}}
            """));
    }

    [Theory]
    [InlineData("100Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 100Mi")]
    [InlineData("9Gi", "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 9Gi")]
    [InlineData("2Gi", null)]
    public async Task Claims_are_measured_by_what_they_request(string size, string? why)
    {
        await RangeAsync("{\"type\": \"PersistentVolumeClaim\", \"min\": {\"storage\": \"1Gi\"}, \"max\": {\"storage\": \"5Gi\"}}");
        foreach (var operation in (string[])["CREATE", "UPDATE"])
            Assert.Equal(why is null ? null : $"persistentvolumeclaims \"p\" is forbidden: {why}", await WhyAsync("persistentvolumeclaims", $$$"""
                {"metadata": {"name": "p"}, "spec": {"resources": {"requests": {"storage": "{{{size}}}"} } } }
                """, operation));
    }

    [Fact]
    public async Task A_Pod_that_is_there_may_be_updated_whatever_the_limits_are_now()
    {
        await RangeAsync("{\"type\": \"Container\", \"min\": {\"cpu\": \"100m\"}}");
        Assert.Null(await WhyAsync("pods", """{"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}}""", "UPDATE"));
    }

    private Task RangeAsync(string limit) => _rig.PutAsync(new GroupResource("", "limitranges"),
        $$$"""{"metadata": {"namespace": "n", "name": "lr"}, "spec": {"limits": [{{{limit}}}]} }""");

    private async Task<JsonObject> MutatedAsync(string spec)
    {
        var request = Request("pods", $$$"""{"metadata": {"name": "p"}, "spec": {{{spec}}} }""", "CREATE");
        await _limits.MutateAsync(request, default);
        return request.Object!;
    }

    private async Task<string?> WhyAsync(string plural, string json, string operation = "CREATE")
    {
        try
        {
            await _limits.ValidateAsync(Request(plural, json, operation), default);
            return null;
        }
        catch (ApiException e) when (e.Code == 403)
        {
            return e.Message;
        }
    }

    private AdmissionRequest Request(string plural, string json, string operation) =>
        _rig.Request(_rig.Kind("", "v1", plural), operation, (JsonObject)JsonNode.Parse(json)!, ns: "n");
}
