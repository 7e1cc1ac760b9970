using Isthmus.Core.Flags;
using Isthmus.Proxy.Telemetry;

namespace Isthmus.Proxy.Programs;

/// <summary>The command line of <c>isthmus proxy</c>: Istio's flags. Those that only Istio's own proxy understands are
/// accepted and ignored; of <c>--concurrency</c>, the environment has what has an effect.</summary>
/// <param name="ComponentLogLevels">The levels of Envoy's loggers; those of Isthmus' own proxy have one level.</param>
/// <param name="XdsDirectory">Read resources from this directory instead of a control plane; empty: use the control plane.</param>
/// <param name="CertificateDirectory">Read certificates from this directory; empty: use the agent's.</param>
internal sealed record ProxyArguments(string Role, string Domain, string LogLevel, string ComponentLogLevels, string XdsDirectory, string CertificateDirectory)
{
    private const string Program = "isthmus proxy";

    private static readonly Flag<string>
        DomainFlag = Flag.Text("--domain", "DOMAIN", ""),
        LogLevelFlag = new("--proxyLogLevel", "LEVEL", "warning", CheckLevel),
        ComponentFlag = Flag.Text("--proxyComponentLogLevel", "NAME:LEVEL,…", ""),
        XdsFlag = Flag.Text("--xds-dir", "DIR", ""),
        CertificateFlag = Flag.Text("--cert-dir", "DIR", "");

    private static readonly FlagSet Flags = new(Program,
    [
        DomainFlag, LogLevelFlag, ComponentFlag, XdsFlag, CertificateFlag,
        .. Flag.Ignored("--log_output_level", "--concurrency", "--serviceCluster", "--meshConfig", "--log_caller", "--log_rotate",
            "--log_rotate_max_age", "--log_rotate_max_backups", "--log_rotate_max_size", "--log_stacktrace_level", "--log_target", "--stsPort",
            "--tokenManagerPlugin", "--templateFile", "--outlierLogPath"),
        .. Flag.IgnoredSwitches("--log_as_json", "--profiling"),
    ]) { MaxWords = 1 };

    /// <exception cref="WrongUseException">The role is missing or wrong; or a flag is unknown, lacks its value or has an
    /// invalid one.</exception>
    public static ProxyArguments Parse(IReadOnlyList<string> args)
    {
        var flags = Flags.Read(args);
        var role = flags.Words is [var word]
            ? word
            : throw new WrongUseException(Program, "the role is missing", "write 'isthmus proxy sidecar' or 'isthmus proxy router'");
        if (role is not ("sidecar" or "router")) throw new WrongUseException(Program, $"invalid role '{role}'", "expected sidecar or router");
        return new(role, flags.Get(DomainFlag), flags.Get(LogLevelFlag), flags.Get(ComponentFlag), flags.Get(XdsFlag), flags.Get(CertificateFlag));
    }

    private static string CheckLevel(string text) =>
        ProcessLog.ParseLevel(text) is not null ? text : throw new FormatException("expected trace, debug, info, warning, error, critical or off");
}
