using System.Xml.Linq;
using Isthmus.Testing;
using Isthmus.Wire.Envoy;
using Xunit;

namespace Isthmus.Tests.Dumps;

/// <summary>The native program contains no names but those that it needs.</summary>
public sealed class NativeEnumsTests
{
    [Fact]
    public void The_native_program_keeps_the_names_of_all_enum_values()
    {
        var assembly = XDocument.Load(Repository.At("src/isthmus/Native.Enums.xml")).Root!.Element("assembly")!;
        var kept = assembly.Elements("type").Where(type => type.Attribute("preserve")!.Value == "fields").Select(type => type.Attribute("fullname")!.Value)
            .ToList();
        var messages = typeof(ApiVersion).Assembly;
        Assert.Equal(messages.GetName().Name, assembly.Attribute("fullname")!.Value);
        Assert.Contains("*/Types/*", kept);
        var others = messages.GetTypes()
            .Where(type => type.IsEnum
                && type.GetFields().Any(field => field.GetCustomAttributesData().Any(data => data.AttributeType.Name == "OriginalNameAttribute")))
            .Select(type => type.FullName!.Replace('+', '/')).Where(name => !name.Contains("/Types/", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(others);
        Assert.Equal(others.Order(StringComparer.Ordinal), kept.Where(name => !name.Contains('*', StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }
}
