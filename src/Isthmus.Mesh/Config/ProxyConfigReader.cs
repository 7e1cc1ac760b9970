using Isthmus.Mesh.Model;

namespace Isthmus.Mesh.Config;

internal static class ProxyConfigReader
{
    public static ProxyConfig Read(ObjectRef source, Field spec, long createdAt)
    {
        return new(source, HostNames.ReadSelector(spec["selector"]["matchLabels"]), spec["concurrency"].Int, spec["environmentVariables"].TextMap, createdAt);
    }
}
