using Isthmus.Core.Problems;

namespace Isthmus.Proxy;

/// <summary>The command line of <c>isthmus proxy</c>: Istio's flags. Those that only Istio's own proxy understands are accepted and ignored.</summary>
/// <param name="XdsDirectory">Read resources from this directory instead of a control plane; empty: use the control plane.</param>
/// <param name="CertificateDirectory">Read certificates from this directory; empty: use the agent's.</param>
internal sealed record ProxyArguments(string Role, string Domain, string LogLevel, string XdsDirectory, string CertificateDirectory, IReadOnlyDictionary<string, string> Others)
{
    private static readonly HashSet<string> Ignored = new(StringComparer.Ordinal)
    {
        "--proxyComponentLogLevel", "--log_output_level", "--concurrency", "--serviceCluster", "--meshConfig", "--log_caller", "--log_rotate",
        "--log_stacktrace_level", "--log_target", "--log_as_json", "--stsPort", "--tokenManagerPlugin", "--templateFile", "--outlierLogPath",
    };

    /// <exception cref="ProblemException">A flag is unknown or lacks its value.</exception>
    public static ProxyArguments Parse(IReadOnlyList<string> args)
    {
        if (args.Count == 0 || args[0] is not ("sidecar" or "router"))
            throw new ProblemException("isthmus proxy", $"the role '{(args.Count > 0 ? args[0] : "")}' is neither sidecar nor router", "Write 'isthmus proxy sidecar' or 'isthmus proxy router'.");
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        var others = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 1; i < args.Count; i++)
        {
            var equals = args[i].IndexOf('=', StringComparison.Ordinal);
            var flag = equals < 0 ? args[i] : args[i][..equals];
            if (!flag.StartsWith("--", StringComparison.Ordinal)) throw new ProblemException("isthmus proxy", $"'{args[i]}' is not expected", "Flags begin with --.");
            if (equals < 0 && i + 1 >= args.Count) throw new ProblemException("isthmus proxy", $"the flag {flag} lacks its value", $"Write {flag}=VALUE.");
            var value = equals < 0 ? args[++i] : args[i][(equals + 1)..];
            if (flag is "--domain" or "--proxyLogLevel" or "--xds-dir" or "--cert-dir") values[flag] = value;
            else if (Ignored.Contains(flag)) others[flag] = value;
            else throw new ProblemException("isthmus proxy", $"the flag {flag} is not known", "Known are --domain, --proxyLogLevel, --xds-dir, --cert-dir and the flags of Istio's proxy.");
        }
        string Get(string name, string otherwise) => values.GetValueOrDefault(name, otherwise);
        return new(args[0], Get("--domain", ""), Get("--proxyLogLevel", "warning"), Get("--xds-dir", ""), Get("--cert-dir", ""), others);
    }
}
