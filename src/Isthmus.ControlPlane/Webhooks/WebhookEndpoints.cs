using System.Text.Json.Nodes;
using Isthmus.Graph.History;
using Isthmus.Graph.Metrics;
using Isthmus.Graph.Settings;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Injection;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Isthmus.ControlPlane.Webhooks;

/// <summary>Injection (<c>/inject/…</c>) and validation (<c>/validate</c>), as API servers call them.</summary>
/// <param name="natives">Which Pods of a cluster get native sidecars; null for the control plane's own cluster.</param>
/// <param name="configs">The ProxyConfigs of the mesh.</param>
/// <param name="callers">Who may ask.</param>
public sealed partial class WebhookEndpoints(Func<InjectorValues> values, Func<string?, NativeSidecars> natives, Func<IEnumerable<ProxyConfig>> configs,
    ReviewCallers callers, ILogger<WebhookEndpoints> log)
{
    /// <summary>Counts questions and answers.</summary>
    public ControlMetrics Metrics { get; init; } = new();

    /// <summary>Remembers who wrote; null: that is not kept.</summary>
    public AdmittedWrites? Admitted { get; init; }

    /// <summary>The settings of the mesh, whose providers objects name; null if unknown.</summary>
    public Func<MeshConfig?> Mesh { get; init; } = () => null;

    /// <summary>What an object claims that belongs to others, as far as is known now.</summary>
    public Func<object?, IEnumerable<Problem>> ForeignClaims { get; init; } = _ => [];

    /// <summary>The connected proxies, of which some may get nothing of an object.</summary>
    public Func<IEnumerable<ProxyIdentity>> Proxies { get; init; } = () => [];

    /// <summary>The kinds that this control plane does not read.</summary>
    public IgnoredResources Unread { get; init; } = IgnoredResources.None;

    public void Map(IEndpointRouteBuilder endpoints)
    {
        endpoints.MapPost("/inject/{**path}", (RequestDelegate)(http => AnswerAsync(http, question => Inject(question, http.Request.Path))));
        endpoints.MapPost("/validate", (RequestDelegate)(http => AnswerAsync(http, Validate)));
    }

    private Task AnswerAsync(HttpContext http, Func<AdmissionQuestion, AdmissionAnswer> answer) => callers.TakeAsync(http, isProven =>
        AdmissionReview.HandleAsync(http, question => answer(question with { IsProven = isProven }),
            why => callers.Refused(http, "review", $"it is no AdmissionReview: {why}")));

    internal AdmissionAnswer Inject(AdmissionQuestion question, string path)
    {
        Metrics.Count("sidecar_injection_requests_total");
        var answer = Answer(question, path);
        Metrics.Count(!answer.Allowed
            ? "sidecar_injection_failure_total"
            : answer.Patch is null
            ? "sidecar_injection_skip_total"
            : "sidecar_injection_success_total");
        return answer;
    }

    private AdmissionAnswer Answer(AdmissionQuestion question, string path)
    {
        if (question.Object is not { } pod) return new(false, Message: "request.object is missing");
        try
        {
            var ns = question.Namespace.Length > 0 ? question.Namespace : pod["metadata"]?["namespace"]?.ToString() ?? "";
            var (current, place) = (values(), InjectionPath.Parse(path));
            var sidecars = natives(place.Cluster);
            var labels = (pod["metadata"]?["labels"] as JsonObject ?? []).Select(label => KeyValuePair.Create(label.Key, label.Value?.ToString() ?? ""))
                .ToValueMap();
            current = current.With(ProxyConfig.For(configs(), current.RootNamespace, ns, labels));
            var warnings = new List<string>();
            if (PodInjector.Inject(pod, ns, current, place, sidecars, warnings) is not { } injected) return new(true);
            if (sidecars.Notice(pod) is { } notice) warnings.Add(notice);
            Injected(log, Visible.Text(ns), Visible.Text(pod["metadata"]?["name"]?.ToString() ?? pod["metadata"]?["generateName"]?.ToString() ?? ""));
            return new(true, JsonPatchDiff.Between(pod, injected), Warnings: warnings);
        }
        catch (ProblemException e)
        {
            return new(false, Message: $"failed to run injection template: {e.Message}");
        }
    }

    /// <summary>Rejects an invalid object with all of its field paths at once, and returns warnings. What the stored object has already is only warned of:
    /// labels and finalizers must be writable, whatever the object says.</summary>
    internal AdmissionAnswer Validate(AdmissionQuestion question)
    {
        if (question.Object is not { } value) return new(true);
        var read = IstioConfig.Read(value, "");
        var stored = question is { Operation: "UPDATE", OldObject: { } old }
            ? Validation.Check(old).Where(IsError).Select(Text).ToHashSet(StringComparer.Ordinal)
            : [];
        var unread = value["apiVersion"]?.ToString().Split('/') is [var group, _] ? Unread.NoteOn(group, value["kind"]?.ToString() ?? "") : null;
        var warnings = read.Problems.Where(problem => problem.Severity == Severity.Warning).Concat(unread is null ? [] : [unread])
            .Concat(Mesh() is { } mesh ? ProviderNames.Unknown(read.Value, mesh) : []).Concat(ForeignClaims(read.Value))
            .Concat(EnvoyOnly.Unserved(read.Value, (Mesh() ?? MeshConfig.Default).RootNamespace, Proxies())).Select(Text)
            .Concat(read.Problems.Where(IsError).Select(Text).Where(stored.Contains).Select(text => $"the stored object is invalid, and remains so: {text}"))
            .ToList();
        var errors = read.Problems.Where(IsError).Select(Text).Where(text => !stored.Contains(text)).ToList();
        Metrics.Count(errors.Count == 0 ? "galley_validation_passed" : "galley_validation_failed",
            $"{Labels(value)}{(errors.Count == 0 ? "" : ",reason=\"invalid_resource\"")}");
        if (errors.Count == 0 && !question.IsDryRun) Admitted?.Add(value, new(question.User, question.IsProven));
        return errors.Count == 0
            ? new(true, Warnings: warnings)
            : new(false, Message: $"configuration is invalid: {string.Join("; ", errors)}", Warnings: warnings);
    }

    private static bool IsError(Problem problem) => problem.Severity == Severity.Error;

    /// <summary>The kind of an object, if it is one of Istio's: others would make labels of any text.</summary>
    private static string Labels(JsonObject value)
    {
        var version = value["apiVersion"]?.ToString().Split('/');
        return version is [var group, var number]
            && MeshApi.Istio.FirstOrDefault(kind => kind.Group == group && kind.Kind == value["kind"]?.ToString()) is { } known
            ? $"group=\"{known.Group}\","
                + $"version=\"{(number is "v1" or "v1beta1" or "v1alpha3" or "v1alpha1" ? number : "unknown")}\",resource=\"{known.Plural}\""
            : "group=\"unknown\",version=\"unknown\",resource=\"unknown\"";
    }

    private static string Text(Problem problem)
    {
        var where = problem.Path.Length == 0 ? "" : $"{problem.Path}: ";
        return Visible.Text(problem.Remedy.Length == 0 ? where + problem.Message : $"{where}{problem.Message} ({problem.Remedy})");
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Injected Pod {Namespace}/{Name}")]
    private static partial void Injected(ILogger log, string @namespace, string name);
}
