using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission.Quotas;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Admission;

/// <summary>What ResourceQuotas refuse, and what they say is used.</summary>
public sealed class QuotaAdmissionTests : IDisposable
{
    private static readonly GroupResource Quotas = new("", "resourcequotas");

    private readonly StoreRig _rig = new();
    private readonly QuotaAdmission _quotas;

    public QuotaAdmissionTests() => _quotas = new(_rig.Objects, _rig.Clock);

    public void Dispose() => _rig.Dispose();

    /// <summary>As Kubernetes 1.32 says it.</summary>
    [Fact]
    public async Task What_exceeds_a_quota_is_refused_with_what_is_used()
    {
        await QuotaAsync("rq", "\"count/secrets\": \"1\", \"configmaps\": 0");
        Assert.Null(await WhyAsync("secrets", """{"metadata": {"name": "a"}}"""));
        Assert.Equal("secrets \"x\" is forbidden: exceeded quota: rq, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=1",
            await WhyAsync("secrets", """{"metadata": {"name": "x"}}"""));
        Assert.Equal("configmaps \"x\" is forbidden: exceeded quota: rq, requested: configmaps=1, used: configmaps=0, limited: configmaps=0",
            await WhyAsync("configmaps", """{"metadata": {"name": "x"}}"""));
        Assert.Null(await WhyAsync("secrets", """{"metadata": {"name": "x"}}""", ns: "other"));
        Assert.Null(await WhyAsync("services", """{"metadata": {"name": "x"}}"""));
    }

    [Fact]
    public async Task Kinds_of_groups_are_counted_by_their_whole_name()
    {
        await QuotaAsync("rq", "\"count/deployments.apps\": 0");
        Assert.Equal("deployments.apps \"x\" is forbidden: exceeded quota: rq, requested: count/deployments.apps=1, used: count/deployments.apps=0, "
            + "limited: count/deployments.apps=0", await WhyAsync("deployments", """{"metadata": {"name": "x"}}""", "apps"));
    }

    /// <summary>Admitted writes that fail count for a while only.</summary>
    [Fact]
    public async Task What_is_admitted_and_not_stored_counts_until_the_write_must_have_ended()
    {
        await QuotaAsync("rq", "\"secrets\": 1");
        Assert.Null(await WhyAsync("secrets", """{"metadata": {"name": "a"}}"""));
        Assert.NotNull(await WhyAsync("secrets", """{"metadata": {"name": "b"}}"""));
        _rig.Clock.Now += TimeSpan.FromMinutes(1);
        Assert.Null(await WhyAsync("secrets", """{"metadata": {"name": "b"}}"""));
    }

    [Theory]
    [InlineData("\"requests.cpu\": 1", "\"resources\": {\"requests\": {\"cpu\": \"600m\"}}", "",
        "requested: requests.cpu=600m, used: requests.cpu=500m, limited: requests.cpu=1")]
    [InlineData("\"requests.memory\": \"1Gi\"", "\"resources\": {\"requests\": {\"memory\": \"1Gi\"}}", "",
        "requested: requests.memory=1Gi, used: requests.memory=512Mi, limited: requests.memory=1Gi")]
    [InlineData("\"limits.cpu\": 2", "", "", "failed quota: rq: must specify limits.cpu for: c")]
    [InlineData("\"requests.cpu\": 1, \"limits.memory\": 1", "", "", "must specify limits.memory for: c; requests.cpu for: c")]
    [InlineData("\"pods\": 1", "", "", "requested: pods=1, used: pods=1, limited: pods=1")]
    [InlineData("\"requests.cpu\": 1", "\"resources\": {\"requests\": {\"cpu\": \"100m\"}}",
        ", \"initContainers\": [{\"name\": \"i\", \"resources\": {\"requests\": {\"cpu\": \"700m\"}}}]",
        "requested: requests.cpu=700m, used: requests.cpu=500m")]
    [InlineData("\"requests.cpu\": 1", "\"resources\": {\"requests\": {\"cpu\": \"300m\"}}",
        ", \"initContainers\": [{\"name\": \"i\", \"restartPolicy\": \"Always\", \"resources\": {\"requests\": {\"cpu\": \"300m\"}}}]",
        "requested: requests.cpu=600m, used: requests.cpu=500m")]
    public async Task Pods_are_measured_by_their_containers(string hard, string resources, string more, string why)
    {
        await _rig.PutAsync(new("", "pods"), """
            {"metadata": {"namespace": "n", "name": "old"},
             "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}}}]}}
            """);
        await _rig.PutAsync(new("", "pods"), """
            {"metadata": {"namespace": "n", "name": "ended"}, "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "9"}}}]},
             "status": {"phase": "Succeeded"}}
            """);
        await QuotaAsync("rq", hard);
        Assert.Contains(why, await WhyAsync("pods",
            $$"""{"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"{{(resources.Length > 0 ? "," : "")}}{{resources}} }]{{more}} } }"""),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"scopes\": [\"BestEffort\"]", "BestEffort", "", true)]
    [InlineData("\"scopes\": [\"NotBestEffort\"]", "BestEffort", "", false)]
    [InlineData("\"scopes\": [\"Terminating\"]", "BestEffort", "", false)]
    [InlineData("\"scopeSelector\": {\"matchExpressions\": [{\"scopeName\": \"PriorityClass\", \"operator\": \"In\", \"values\": [\"high\"]}]}",
        "Burstable", "high", true)]
    [InlineData("\"scopeSelector\": {\"matchExpressions\": [{\"scopeName\": \"PriorityClass\", \"operator\": \"DoesNotExist\"}]}",
        "Burstable", "high", false)]
    public async Task Scopes_choose_among_Pods(string scopes, string quality, string priority, bool refused)
    {
        await QuotaAsync("rq", "\"pods\": 0, \"secrets\": 0", scopes);
        Assert.Equal(refused, await WhyAsync("pods", $$"""
            {"metadata": {"name": "p"}, "spec": {"priorityClassName": "{{priority}}", "containers": []}, "status": {"qosClass": "{{quality}}"} }
            """) is not null);
        Assert.Null(await WhyAsync("secrets", """{"metadata": {"name": "x"}}"""));
    }

    [Fact]
    public async Task An_update_counts_with_what_it_adds()
    {
        await QuotaAsync("rq", "\"services.nodeports\": 1, \"services\": 1");
        var request = _rig.Request(_rig.Kind("", "v1", "services"), "UPDATE",
            (JsonObject)JsonNode.Parse("""{"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}}""")!);
        var old = new Isthmus.Lab.ApiServer.Admission.AdmissionRequest
        {
            Attributes = request.Attributes, Kind = request.Kind, Operation = "UPDATE", Object = request.Object, Options = [],
            OldObject = (JsonObject)JsonNode.Parse("""{"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "ports": [{"port": 1}]}}""")!,
        };
        var e = await Assert.ThrowsAsync<ApiException>(async () => await _quotas.ValidateAsync(old, default));
        Assert.Contains("requested: services.nodeports=2, used: services.nodeports=0, limited: services.nodeports=1", e.Message, StringComparison.Ordinal);
    }

    /// <summary>As of two updates at once: the second counts the first before it is stored, and what is stored if the first fails.</summary>
    [Fact]
    public async Task An_admitted_update_counts_until_it_is_stored_or_must_have_ended()
    {
        await QuotaAsync("rq", "\"services.nodeports\": 2");
        foreach (var name in (string[])["a", "b"])
            await _rig.PutAsync(new("", "services"), $$$"""
                {"metadata": {"namespace": "n", "name": "{{{name}}}"}, "spec": {"type": "ClusterIP", "ports": [{"port": 1}]} }
                """);
        await UpdateAsync("a", 2);
        var e = await Assert.ThrowsAsync<ApiException>(() => UpdateAsync("b", 1));
        Assert.Contains("requested: services.nodeports=1, used: services.nodeports=2, limited: services.nodeports=2", e.Message, StringComparison.Ordinal);
        _rig.Clock.Now += TimeSpan.FromMinutes(1);
        await UpdateAsync("b", 1);

        async Task UpdateAsync(string name, int ports)
        {
            var stored = _rig.Objects.Find(new("", "services"), "n", name)!.Parse();
            var next = (JsonObject)stored.DeepClone();
            next["spec"] = new JsonObject
            {
                ["type"] = "NodePort", ["ports"] = new JsonArray([.. Enumerable.Range(1, ports).Select(port => (JsonNode)new JsonObject { ["port"] = port })]),
            };
            var request = _rig.Request(_rig.Kind("", "v1", "services"), "UPDATE", next, ns: "n");
            await _quotas.ValidateAsync(new Isthmus.Lab.ApiServer.Admission.AdmissionRequest
            {
                Attributes = request.Attributes, Kind = request.Kind, Operation = "UPDATE", Object = next, OldObject = stored, Options = [],
            }, default);
        }
    }

    [Fact]
    public async Task What_is_admitted_is_in_the_status_at_once()
    {
        await QuotaAsync("rq", "\"count/secrets\": 5");
        Assert.Null(await WhyAsync("secrets", """{"metadata": {"name": "a"}}"""));
        Assert.Equal("1", _rig.Objects.Find(Quotas, "n", "rq")!.Parse().TextAt("status", "used", "count/secrets"));
    }

    [Fact]
    public async Task The_status_says_what_is_used()
    {
        await QuotaAsync("rq", "\"count/secrets\": \"5\", \"requests.memory\": \"2Gi\", \"pods\": 3");
        await _rig.PutAsync(new("", "secrets"), """{"metadata": {"namespace": "n", "name": "a"}}""");
        await _rig.PutAsync(new("", "pods"), """
            {"metadata": {"namespace": "n", "name": "p"}, "spec": {"containers": [{"name": "c", "resources": {"requests": {"memory": "256Mi"}}}]}}
            """);
        await _quotas.UpdateAsync(default);
        var status = _rig.Objects.Find(Quotas, "n", "rq")!.Parse()["status"]!;
        Assert.Equal("""{"count/secrets":"1","pods":"1","requests.memory":"256Mi"}""", status["used"]!.ToJsonString());
        Assert.Equal("""{"count/secrets":"5","pods":"3","requests.memory":"2Gi"}""", status["hard"]!.ToJsonString());
        var written = _rig.Objects.Revision;
        await _quotas.UpdateAsync(default);
        Assert.Equal(written, _rig.Objects.Revision);
    }

    private Task QuotaAsync(string name, string hard, string more = "") => _rig.PutAsync(Quotas,
        $$"""{"metadata": {"namespace": "n", "name": "{{name}}"}, "spec": {"hard": { {{hard}} }{{(more.Length > 0 ? "," : "")}} {{more}} } }""");

    private async Task<string?> WhyAsync(string plural, string json, string group = "", string ns = "n")
    {
        var kind = _rig.Kind(group, "v1", plural);
        try
        {
            await _quotas.ValidateAsync(_rig.Request(kind, "CREATE", (JsonObject)JsonNode.Parse(json)!, ns: ns), default);
            return null;
        }
        catch (ApiException e) when (e.Code == 403)
        {
            return e.Message;
        }
    }
}
