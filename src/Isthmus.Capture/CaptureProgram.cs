using System.Collections;
using Isthmus.Core.Problems;

namespace Isthmus.Capture;

/// <summary><c>isthmus istio-iptables …</c>: redirects the traffic of this network namespace through the proxy. Takes
/// Istio's flags; running it again replaces the rules.</summary>
public static class CaptureProgram
{
    /// <summary>The exit code of a Pod whose traffic is not captured, by which the CNI node agent finds it (Istio).</summary>
    public const int NotCaptured = 126;

    public static async Task<int> RunAsync(string[] args, CancellationToken stop)
    {
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? "", StringComparer.Ordinal);
        var settings = CaptureFlags.Read(args, environment);
        try
        {
            var rules = CaptureRules.Write(settings, CaptureHost.Read());
            if (!settings.DryRun && !settings.SkipApply) await Nft.LoadAsync(rules, stop).ConfigureAwait(false);
            if (!settings.Validate || settings.DryRun)
            {
                Console.Write(rules);
                return 0;
            }
            var missing = await CaptureValidation.RunAsync(settings, stop).ConfigureAwait(false);
            Console.Error.WriteLine(missing is null ? "traffic capture is in effect" : $"error: {missing.Message}");
            return missing is null ? 0 : NotCaptured;
        }
        catch (ProblemException e)
        {
            await Console.Error.WriteLineAsync($"error: {e.Message}").ConfigureAwait(false);
            return 1;
        }
    }
}
