using System.Globalization;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Operate.Diagnose;

/// <summary>The annotation that takes a gateway between networks out, such as for maintenance.</summary>
public static class GatewayWeights
{
    public static bool IsZero(Service service) => service.Metadata.Annotations.TryGetValue(Annotations.GatewayWeight, out var text)
        && uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var weight) && weight == 0;

    /// <summary>The command that takes it in again.</summary>
    public static string Remove(string context, Service service) =>
        $"kubectl --context={context} -n {service.Metadata.Namespace} annotate service {service.Metadata.Name} {Annotations.GatewayWeight}-";
}
