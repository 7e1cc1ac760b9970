using System.Text.Json;
using Isthmus.Core.Flags;
using Isthmus.Core.Json;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Reports;

namespace Isthmus.Operate.Diagnose;

/// <summary>Reads and changes the log levels of running proxies (<c>/logging</c> of the admin port) and control planes (ControlZ).</summary>
public sealed class LogLevels(KubeClient client, string istioNamespace)
{
    /// <summary>Envoy's words for levels, lowest first.</summary>
    public static readonly string[] ProxyWords = ["trace", "debug", "info", "warning", "error", "critical", "off"];

    /// <summary>Istio's words for levels of the control plane, lowest first.</summary>
    public static readonly string[] ControlPlaneWords = ["debug", "info", "warn", "error", "fatal", "none"];

    private readonly MeshQuery _query = new(client, istioNamespace);

    /// <summary>The loggers of a proxy with their levels, in Envoy's text, after the changes.</summary>
    /// <param name="levels">Levels by logger; the logger <c>""</c> stands for all. Empty: only reads.</param>
    public async Task<string> OfProxyAsync(string ns, string pod, IReadOnlyList<(string Logger, string Level)> levels, CancellationToken stop)
    {
        var answer = "";
        foreach (var (logger, level) in levels)
            answer = await _query.AskProxyTextAsync(ns, pod, "POST",
                logger.Length == 0 ? $"logging?level={level}" : $"logging?{Uri.EscapeDataString(logger)}={level}", stop);
        // Reading is a POST too.
        return answer.Length > 0 ? answer : await _query.AskProxyTextAsync(ns, pod, "POST", "logging", stop);
    }

    /// <summary>The scopes of a control plane's log with their levels.</summary>
    public async Task<IReadOnlyList<(string Scope, string Level)>> OfControlPlaneAsync(string pod, int port, CancellationToken stop)
    {
        var answer = await ControlZAsync(pod, port, "GET", "scopej/", null, stop);
        try
        {
            return [.. StrictJson.Parse(answer, ControlPlaneReports.Default.LogScopes).OfType<LogScope>().Select(scope => (scope.Name, scope.OutputLevel ?? ""))
                .OrderBy(scope => scope.Name, StringComparer.Ordinal)];
        }
        catch (JsonException e)
        {
            throw new ProblemException($"Pod {istioNamespace}/{pod}", $"'scopej/' on port {port} did not return the scopes of a log: {e.Message}",
                "check that it is a control plane, and give the port of its ControlZ with --ctrlz_port", e);
        }
    }

    /// <summary>Changes the levels of some scopes.</summary>
    public async Task SetControlPlaneAsync(string pod, int port, IEnumerable<(string Scope, string Level)> levels, CancellationToken stop)
    {
        foreach (var (scope, level) in levels)
            await ControlZAsync(pod, port, "PUT", $"scopej/{Uri.EscapeDataString(scope)}", new LogScope(scope) { OutputLevel = level }, stop);
    }

    /// <summary>Reads <c>[LOGGER:]LEVEL,…</c>.</summary>
    /// <param name="option">The flag, for errors.</param>
    /// <param name="words">The levels that there are.</param>
    /// <exception cref="WrongUseException">A level is not one of the words.</exception>
    public static IReadOnlyList<(string Logger, string Level)> Parse(string option, string text, IReadOnlyList<string> words)
    {
        var levels = new List<(string, string)>();
        foreach (var part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var colon = part.LastIndexOf(':');
            var (logger, level) = colon < 0 ? ("", part) : (part[..colon], part[(colon + 1)..]);
            levels.Add(words.Contains(level)
                ? (logger, level)
                : throw new WrongUseException(option, $"'{level}' is not a log level", $"use one of {string.Join(", ", words)}"));
        }
        return levels;
    }

    private async Task<string> ControlZAsync(string pod, int port, string method, string path, LogScope? change, CancellationToken stop)
    {
        try
        {
            var body = change is null ? null : JsonSerializer.SerializeToNode(change, ControlPlaneReports.Default.LogScope)!.AsObject();
            var (status, answer) = await client.Pods.SendAsync(istioNamespace, pod, port, new(method, path, body), stop);
            return status is >= 200 and <= 299
                ? answer
                : throw new ProblemException($"Pod {istioNamespace}/{pod}",
                    $"responded to {method} {path} on port {port} with status {status}: {answer.Trim()}");
        }
        catch (HttpRequestException e)
        {
            throw new ProblemException($"Pod {istioNamespace}/{pod}", $"does not respond on port {port}: {e.InnerException?.Message ?? e.Message}",
                "check that it is a control plane, and give the port of its ControlZ with --ctrlz_port", e);
        }
    }
}
