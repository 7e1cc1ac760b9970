namespace Isthmus.Operate.Diagnose;

/// <summary>What is said of a MeshConfig by which no mutual TLS is automatic, where gateways of other networks pass nothing else.</summary>
internal static class AutomaticTls
{
    public const string Code = "ISM1541", Field = "data.mesh.enableAutoMtls",
        Remedy = "set it to true, or remove it; or set tls.mode ISTIO_MUTUAL in DestinationRules for what other networks have";
}
