using System.Globalization;

namespace Isthmus.Lab.Nodes.Api;

/// <summary>Times as objects of the API hold them.</summary>
internal static class ApiTime
{
    /// <summary>metav1.Time: whole seconds.</summary>
    internal static string Seconds(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>metav1.MicroTime.</summary>
    internal static string Microseconds(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
}
