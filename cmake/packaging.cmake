# SPDX-License-Identifier: Apache-2.0
# Debian packages: `ninja package` in a release build leaves postern-agent,
# postern-collector and postern in build/release/packages.
include(GNUInstallDirs)

set(packaging ${CMAKE_SOURCE_DIR}/packaging)
install(TARGETS posternd DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT agent)
install(FILES ${packaging}/agent.yaml DESTINATION /etc/postern COMPONENT agent)
install(FILES ${packaging}/systemd/posternd.service
        DESTINATION /lib/systemd/system COMPONENT agent)

install(TARGETS postern-collector DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT collector)
install(FILES ${packaging}/collector.yaml DESTINATION /etc/postern COMPONENT collector)
install(FILES ${packaging}/systemd/postern-collector.service
        DESTINATION /lib/systemd/system COMPONENT collector)

install(FILES ${packaging}/prometheus/postern.rules.yaml
        DESTINATION ${CMAKE_INSTALL_DATADIR}/postern/prometheus COMPONENT collector)
install(FILES ${packaging}/grafana/postern.json
        DESTINATION ${CMAKE_INSTALL_DATADIR}/postern/grafana COMPONENT collector)

install(TARGETS postern DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT cli)

foreach(pair agent:postern-agent collector:postern-collector cli:postern)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 component)
  list(GET pair 1 package)
  install(FILES ${packaging}/copyright ${CMAKE_SOURCE_DIR}/CHANGELOG.md
          ${CMAKE_SOURCE_DIR}/docs/operations.md ${CMAKE_SOURCE_DIR}/docs/policy.md
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME postern)
# Each package has a first line of its own.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_PACKAGE_CONTACT "The Postern authors <postern@localhost>")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL agent collector cli)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_AGENT_PACKAGE_NAME postern-agent)
set(CPACK_DEBIAN_AGENT_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_AGENT_PACKAGE_DEPENDS "adduser, init-system-helpers")
set(CPACK_DEBIAN_AGENT_PACKAGE_RECOMMENDS "postern")
set(CPACK_DEBIAN_AGENT_PACKAGE_SUGGESTS "postern-collector")
set(CPACK_COMPONENT_AGENT_DESCRIPTION
    "names and stops the processes that send mail from this host
Judges every outbound SMTP connection in the kernel, by user and binary, and
records who made it. Starts in monitor mode, in which nothing is stopped.")
set(CPACK_DEBIAN_AGENT_PACKAGE_CONTROL_EXTRA
    "${packaging}/deb/agent/postinst;${packaging}/deb/agent/prerm;${packaging}/deb/agent/postrm;${packaging}/deb/agent/conffiles")

set(CPACK_DEBIAN_COLLECTOR_PACKAGE_NAME postern-collector)
set(CPACK_DEBIAN_COLLECTOR_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_COLLECTOR_PACKAGE_DEPENDS "adduser, init-system-helpers")
set(CPACK_DEBIAN_COLLECTOR_PACKAGE_RECOMMENDS "postern")
set(CPACK_COMPONENT_COLLECTOR_DESCRIPTION
    "keeps what Postern's agents saw and answers questions about it
Takes the events of one or many agents, each exactly once, and keeps them for
as long as its configuration says.")
set(CPACK_DEBIAN_COLLECTOR_PACKAGE_CONTROL_EXTRA
    "${packaging}/deb/collector/postinst;${packaging}/deb/collector/prerm;${packaging}/deb/collector/postrm;${packaging}/deb/collector/conffiles")

set(CPACK_DEBIAN_CLI_PACKAGE_NAME postern)
set(CPACK_DEBIAN_CLI_PACKAGE_SECTION admin)
set(CPACK_COMPONENT_CLI_DESCRIPTION
    "asks Postern's agent and collector
The command `postern`: which process connected to port 25 when, was it stopped,
is the record complete for that time.")
include(CPack)
