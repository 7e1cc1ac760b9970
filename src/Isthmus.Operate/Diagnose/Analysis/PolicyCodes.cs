using Isthmus.Core.Problems;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>Codes of our own about what rules of policies match.</summary>
public static class PolicyCodes
{
    public static readonly AnalysisCode HostWithoutPort = new("ISM1553", "HostWithoutPort", Severity.Warning,
        "A rule of an AuthorizationPolicy has the name of a Service in hosts or notHosts without a port, and the Service has no port 80. Clients send the port "
            + "with the name, and the rule compares both, so that it does not match: a rule that denies does not deny, and one that allows does not allow.",
        "Write NAME:* beside the name, which covers every port.");
}
