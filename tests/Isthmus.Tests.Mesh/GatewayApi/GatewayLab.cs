using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Machine.Network;
using Isthmus.Testing;
using Isthmus.Tests.Mesh.Lab;
using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.GatewayApi;

/// <summary>Runs cases in a mesh of a lab, one after the other, and removes what each has made.</summary>
internal sealed partial class GatewayLab : IAsyncDisposable
{
    private const string Here = "cluster1", There = "cluster2", Manager = "cases";

    /// <summary>Only a case that fails waits so long.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    private readonly MeshRig _mesh;
    private readonly LabBase _base = new();
    private readonly KubeClient _here, _there;
    private readonly NamespaceHandle _outside;
    private readonly int _supervisor;
    private readonly bool _isQuick;
    private bool _isElsewhere;

    private GatewayLab(MeshRig mesh, Lab.LabRig lab, bool isQuick)
    {
        (_mesh, _isQuick, _supervisor) = (mesh, isQuick, lab.Supervisor);
        (_here, _there) = (lab.Client(Here), lab.Client(There));
        _outside = NamespaceHandle.OpenNetwork($"/proc/{_supervisor}/ns/net");
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    internal static async Task<GatewayLab> CreateAsync(MeshRig mesh, bool isQuick)
    {
        var made = new GatewayLab(mesh, await mesh.LabAsync(), isQuick);
        foreach (var definition in LabBase.Definitions()) await made._here.TakeFieldsAsync(Kinds.CustomResourceDefinition, definition, Manager, Stop);
        await made.UntilAsync(() => made.StatusAsync([StatusLine.Read("GatewayClass istio: Accepted")]));
        await made.ApplyAsync(made._here, made._base.Before(isQuick, isElsewhere: false));
        await made.ReadyAsync(Here);
        return made;
    }

    /// <summary>Moves all backends to the other cluster, where they have sidecars, as calls over networks need; or back.</summary>
    internal async Task MoveAsync(bool isElsewhere)
    {
        if (_isElsewhere == isElsewhere) return;
        if (isElsewhere) await ApplyAsync(_there, _base.Before(_isQuick, isElsewhere));
        foreach (var backend in LabBase.Backends(_isQuick))
        {
            foreach (var (client, count) in new[] { (_here, isElsewhere ? 0 : 1), (_there, isElsewhere ? 1 : 0) })
            {
                var patch = new JsonObject { ["spec"] = new JsonObject { ["replicas"] = count } };
                await client.PatchAsync(backend.Kind, backend.Namespace, backend.Name, patch, PatchType.Merge, Stop);
            }
        }
        await ReadyAsync(Here);
        await ReadyAsync(There);
        _isElsewhere = isElsewhere;
    }

    internal async Task RunAsync(LabCase one)
    {
        var made = new List<ObjectName>();
        try
        {
            foreach (var (index, step) in one.Steps.Index())
            {
                try
                {
                    made.AddRange(step.Apply.Select(ObjectName.Of).Except(made));
                    await ApplyAsync(_here, await Task.WhenAll(step.Apply.Select(FillAsync)));
                    foreach (var name in step.Delete) await _here.DeleteAsync(name.Kind, name.Namespace, name.Name, Stop);
                    await UntilAsync(() => StatusAsync(step.Status));
                    foreach (var (place, lines) in step.Calls) await ExpectAsync(place, lines);
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    throw new Xunit.Sdk.XunitException($"{one.Name}, step {index + 1}{(_isElsewhere ? ", backends elsewhere" : "")}: {e.Message}");
                }
            }
        }
        finally
        {
            foreach (var name in made.AsEnumerable().Reverse()) await _here.DeleteAsync(name.Kind, name.Namespace, name.Name, Stop);
        }
    }

    /// <summary>Leaves the mesh as it was.</summary>
    internal async Task ClearAsync()
    {
        foreach (var client in (KubeClient[])[_here, _there])
            foreach (var name in LabBase.Everything()) await client.DeleteAsync(name.Kind, null, name.Name, Stop);
        foreach (var definition in LabBase.Definitions().Select(definition => definition["metadata"]!["name"]!.ToString()))
        {
            await _here.DeleteAsync(Kinds.CustomResourceDefinition, null, definition, Stop);
            await UntilAsync(() => StatusAsync([StatusLine.Read($"CustomResourceDefinition {definition}: gone")]));
        }
    }

    public ValueTask DisposeAsync()
    {
        _base.Dispose();
        _here.Dispose();
        _there.Dispose();
        _outside.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task ApplyAsync(KubeClient client, IEnumerable<JsonObject> objects)
    {
        foreach (var built in objects) await client.TakeFieldsAsync(ObjectName.Of(built).Kind, built, Manager, Stop);
    }

    /// <summary>What is known only now: <c>{pod NAME}</c> is the address of a Pod, and <c>{ca}</c> the certificate of the CA.</summary>
    private async Task<JsonObject> FillAsync(JsonObject built)
    {
        var text = built.ToJsonString().Replace("{ca}", JsonEncodedText.Encode(_base.AuthorityPem).ToString(), StringComparison.Ordinal);
        while (PodAddress().Match(text) is { Success: true } pod)
            text = text.Replace(pod.Value, (await PodsAsync(_here, ObjectName.Front, pod.Groups["name"].Value)).First().Status.PodIP, StringComparison.Ordinal);
        return JsonNode.Parse(text)!.AsObject();
    }

    private async Task ReadyAsync(string cluster)
    {
        foreach (var name in LabBase.Everything()) await _mesh.ReadyAsync(cluster, name.Name);
    }

    private async Task<string> StatusAsync(IReadOnlyList<StatusLine> lines)
    {
        var wrong = new List<string>();
        foreach (var group in lines.GroupBy(line => line.Object))
        {
            var found = await _here.FindAsync(group.Key.Kind, group.Key.Namespace, group.Key.Name, Stop);
            wrong.AddRange(group.Select(line => line.Differences(found)).Where(text => text.Length > 0));
        }
        return string.Join('\n', wrong);
    }

    /// <summary>Makes the calls of a table until all of them come out as expected, twice in a row.</summary>
    private async Task ExpectAsync(CallPlace place, IReadOnlyList<CallLine> lines)
    {
        var good = 0;
        await UntilAsync(async () =>
        {
            var wrong = await WrongAsync(place, lines);
            good = wrong.Length == 0 ? good + 1 : 0;
            return good == 2 ? "" : wrong.Length > 0 ? wrong : "only once as expected";
        });
    }

    private async Task<string> WrongAsync(CallPlace place, IReadOnlyList<CallLine> lines)
    {
        if (await TargetAsync(place) is not { } target) return $"{place.Text}: no address";
        using var network = place.Caller is { } caller ? await PodNetworkAsync(caller.Namespace, caller.Name) : null;
        using var authority = _base.Authority;
        using var certificate = place.Certificate.Length > 0 ? _base.Client(place.Certificate) : null;
        using var calls = new LabCalls(network ?? _outside, target, place, authority, certificate);
        var wrong = new List<string>();
        foreach (var line in lines.OrderBy(line => line.Times))
        {
            if (line.Times > 1 && wrong.Count > 0) break;
            var got = await (line.Times > 1 ? SharesAsync(calls, place, line) : OnceAsync(calls, place, line));
            if (got != string.Join(' ', line.Expected)) wrong.Add($"{place.Text}: {line.Text}\n    got: {got}");
        }
        return string.Join('\n', wrong);
    }

    private async Task<string> OnceAsync(LabCalls calls, CallPlace place, CallLine line)
    {
        var path = line.Path.Replace("{id}", Guid.NewGuid().ToString("N"), StringComparison.Ordinal);
        var copies = line.Expected.Where(detail => detail[0] == '~').Select(detail => detail[1..]).ToList();
        var mark = "";
        if (copies.Count > 0) path = LabCalls.Marked(path, out mark);
        var got = (await calls.CallAsync(line, path, Stop)).Describe(line.Expected.Skip(1));
        foreach (var copy in copies)
            if (await CopiesAsync(place, copy, mark, atLeast: 1) == 0) got = got.Replace($"~{copy}", $"!~{copy}", StringComparison.Ordinal);
        return got;
    }

    /// <summary>The expected shares, or those that were counted where one is too far from them.</summary>
    private async Task<string> SharesAsync(LabCalls calls, CallPlace place, CallLine line)
    {
        var path = LabCalls.Marked(line.Path, out var mark);
        var counts = new ConcurrentDictionary<string, int>();
        await Parallel.ForAsync(0, line.Times, new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = Stop }, async (_, stop) =>
            counts.AddOrUpdate((await calls.CallAsync(line, path, stop)).Outcome, 1, (_, count) => count + 1));
        var shares = line.Expected.Select(text => text.Split('='))
            .Select(pair => (Name: pair[0], Percent: int.Parse(pair[1], CultureInfo.InvariantCulture))).ToList();
        foreach (var (name, percent) in shares.Where(share => share.Name[0] == '~'))
            counts[name] = await CopiesAsync(place, name[1..], mark, (int)((line.Times * percent / 100.0) - Deviations(line.Times, percent)));
        var isRight = shares.All(share =>
                Math.Abs(counts.GetValueOrDefault(share.Name) - (line.Times * share.Percent / 100.0)) <= Deviations(line.Times, share.Percent))
            && counts.Keys.All(name => shares.Exists(share => share.Name == name));
        return isRight ? string.Join(' ', line.Expected)
            : string.Join(' ', counts.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}: {pair.Value} of {line.Times}"));
    }

    [GeneratedRegex(@"\{pod (?<name>[^}]+)\}")]
    private static partial Regex PodAddress();

    private static double Deviations(int times, int percent) => 6 * Math.Sqrt(times * percent / 100.0 * (1 - (percent / 100.0)));

    /// <summary>How many requests with this mark a workload has logged, as soon as there are so many.</summary>
    private async Task<int> CopiesAsync(CallPlace place, string workload, string mark, int atLeast)
    {
        var (ns, name) = workload.Split('/') is [var given, var rest] ? (given, rest) : (place.Home, workload);
        var client = _isElsewhere ? _there : _here;
        int count;
        var begun = Stopwatch.GetTimestamp();
        do
        {
            count = 0;
            foreach (var pod in await PodsAsync(client, ns, name))
            {
                var log = await client.RawAsync(HttpMethod.Get, $"/api/v1/namespaces/{ns}/pods/{pod.Metadata.Name}/log?container=echo", null, Stop);
                count += Encoding.UTF8.GetString(log).Split('\n').Count(line => line.Contains($"{mark} ", StringComparison.Ordinal));
            }
            if (count >= atLeast) break;
            await Task.Delay(100, Stop);
        }
        while (Stopwatch.GetElapsedTime(begun) < TimeSpan.FromSeconds(3));
        return count;
    }

    private async Task<IPEndPoint?> TargetAsync(CallPlace place)
    {
        if (place.Caller is null)
        {
            var gateway = await _here.FindAsync(ObjectName.Read("Gateway any").Kind, place.Namespace, place.Name, Stop);
            return IPAddress.TryParse((gateway?["status"]?["addresses"] as JsonArray)?.FirstOrDefault()?["value"]?.ToString(), out var outer)
                ? new(outer, place.Port)
                : null;
        }
        if (place.Namespace == "pod")
            return new(IPAddress.Parse((await PodsAsync(_here, CallPlace.Mesh, place.Name)).First().Status.PodIP!), place.Port);
        var service = await _here.GetAsync<Service>(Kinds.Service, place.Namespace, place.Name, Stop);
        return new(IPAddress.Parse(service.Spec.ClusterIP), place.Port);
    }

    private async Task<NamespaceHandle> PodNetworkAsync(string ns, string workload)
    {
        var pod = (await PodsAsync(_here, ns, workload)).First();
        return NamespaceHandle.OpenNetwork($"/proc/{_supervisor}/root{NamespacePaths.Pod(Here, pod.Metadata.Uid)}");
    }

    private static async Task<IEnumerable<Pod>> PodsAsync(KubeClient client, string ns, string workload) =>
        (await client.ListAllAsync<Pod>(Kinds.Pod, ns, new() { LabelSelector = $"name={workload}" }, Stop))
            .Where(pod => pod.Metadata.DeletionTimestamp is null);

    /// <summary>Waits until a question has no objection left.</summary>
    private Task UntilAsync(Func<Task<string>> objections) => Eventually.AnswerAsync(objections, wrong => wrong.Length == 0, wrong => wrong, Patience);
}
